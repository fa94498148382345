// The record of an installation, PREFIX/lib/mini-qmail/install.json: what was made, and in which states it may be found if it
// is still ours. It is written before the first file and again after the last, so that a run that ended in between can be
// repeated and undone. What it does not name, or what is in another state, belongs to somebody else.

import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { reasonOf, SystemError } from '../host/system-error.ts';
import type { Disk, Look } from './disk.ts';
import { ROLES, type Role } from './roles.ts';

/** Something that an installation has made. */
export interface ManifestEntry {
  readonly path: string;
  readonly kind: 'folder' | 'file' | 'link';
  /** As {@link stateOf} gives them; more than one while an installation is under way. Empty for a folder. */
  readonly states: readonly string[];
  /** Where the foreign file that stood here is kept. */
  readonly keptAt?: string;
  /** A control file: an administrator's to change. */
  readonly isControl?: boolean;
  /** A bundle of an earlier build, which a program that has just been started may still read. */
  readonly isSuperseded?: boolean;
}

/** What is known about an installation. */
export interface Manifest {
  readonly roles: readonly Role[];
  /** The interpreter that the caller has named, for later runs. */
  readonly node?: string | undefined;
  readonly entries: readonly ManifestEntry[];
}

const FORMAT = 1;

/** Folder of an installation's bundles, interpreter and record. */
export function libraryOf(prefix: string): string {
  return `${prefix}/lib/mini-qmail`;
}

/** Path of the record. */
export function manifestPath(prefix: string): string {
  return `${libraryOf(prefix)}/install.json`;
}

/** A file's or link's content in one word, to tell whether it is what we made. */
export function stateOf(look: Look): string {
  if (look.kind === 'file') return `sha256:${look.hash}`;
  return look.kind === 'link' ? `-> ${look.target}` : look.kind;
}

/** The record of an installation, undefined if there is none. @throws SystemError, also if it is not one */
export function readManifest(disk: Disk, prefix: string): Manifest | undefined {
  const path = manifestPath(prefix);
  if (disk.look(path).kind === 'missing') return undefined;
  const text = textOf(disk.read(path));
  try {
    return checkManifest(JSON.parse(text));
  } catch (error) {
    throw new SystemError(
      'understand',
      path,
      `${reasonOf(error)}; restore the file, or remove it and install again`,
    );
  }
}

function checkManifest(value: unknown): Manifest {
  if (typeof value !== 'object' || value === null) throw new Error('it is no object');
  const { format, roles, node, entries } = value as { [name: string]: unknown };
  if (format !== FORMAT) throw new Error(`its format is ${String(format)}, not ${FORMAT}`);
  if (!Array.isArray(roles) || !roles.every(isRole)) throw new Error('its roles are unknown');
  if (node !== undefined && typeof node !== 'string') throw new Error('its interpreter is no path');
  if (!Array.isArray(entries) || !entries.every(isEntry)) throw new Error('its entries are damaged');
  return { roles, node, entries };
}

function isRole(value: unknown): value is Role {
  return ROLES.some((role) => role === value);
}

function isEntry(value: unknown): value is ManifestEntry {
  if (typeof value !== 'object' || value === null) return false;
  const { path, kind, states, keptAt } = value as { [name: string]: unknown };
  return (
    typeof path === 'string' &&
    path.startsWith('/') &&
    (kind === 'folder' || kind === 'file' || kind === 'link') &&
    Array.isArray(states) &&
    states.every((state) => typeof state === 'string') &&
    (keptAt === undefined || typeof keptAt === 'string')
  );
}

/** The record as a file: one line per entry, so that people can read and compare it. ASCII. */
export function formatManifest({ roles, node, entries }: Manifest): Uint8Array {
  const lines = entries.map((entry) => `    ${toAscii(JSON.stringify(entry))}`);
  const named = node === undefined ? '' : `  "node": ${toAscii(JSON.stringify(node))},\n`;
  const head = `{\n  "format": ${FORMAT},\n  "roles": ${JSON.stringify(roles)},\n${named}  "entries": [\n`;
  return bytesOf(`${head}${lines.join(',\n')}\n  ]\n}\n`);
}

function toAscii(text: string): string {
  return text.replace(/[^ -~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
