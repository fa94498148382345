// The files of identities, in HOME/control/tls: who made them, who may read them, and how they come to be.
// Invariant: a file is whole or not there, on stable storage when a function returns; a key is never written over and never
// readable by others on its way.

import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import * as fs from 'node:fs';
import { flushFolderOf } from '../host/flush-folder.ts';
import { errorCode, SystemError } from '../host/system-error.ts';
import { SetupRefusal } from './setup-refusal.ts';

/** Where the files are. */
export interface IdentityPaths {
  readonly folder: string;
  /** Certificate and key of the authority that the hub trusts; the certificate is also on each host. */
  readonly authority: string;
  readonly authorityKey: string;
  /** Certificate and key of the hub. */
  readonly hub: string;
  readonly hubKey: string;
  /** Certificate and key of a host, and its request. */
  readonly host: string;
  readonly hostKey: string;
  readonly hostRequest: string;
  /** What the authority has issued, a file each. */
  readonly issued: string;
  /** Which certificates the hub takes mail by. */
  readonly clients: string;
}

/** A key may be read by its owner only; everything else is no secret. */
const MODE_KEY = 0o600;
const MODE_PUBLIC = 0o644;
const MODE_FOLDER = 0o755;
const LF = 10;

/** The paths below a home. */
export function identityPaths(home: string): IdentityPaths {
  const folder = `${home}/control/tls`;
  return {
    folder,
    authority: `${folder}/ca.pem`,
    authorityKey: `${folder}/ca.key`,
    hub: `${folder}/hub.pem`,
    hubKey: `${folder}/hub.key`,
    host: `${folder}/host.pem`,
    hostKey: `${folder}/host.key`,
    hostRequest: `${folder}/host.csr`,
    issued: `${folder}/issued`,
    clients: `${home}/control/tlsclients`,
  };
}

/** Refuses to begin where something is already. @throws SetupRefusal */
export function refuseExisting(paths: readonly string[]): void {
  const path = paths.find((one) => fs.existsSync(one));
  if (path !== undefined) throw new SetupRefusal(`Cannot write ${path}: it exists already`);
}

/** Makes a folder unless it is there. @throws SystemError */
export function makeIdentityFolder(path: string): void {
  attempt('create folder', path, () => {
    if (!fs.existsSync(path)) fs.mkdirSync(path, { mode: MODE_FOLDER });
  });
}

/** Makes a key pair on the curve P-256, which every TLS library of the last ten years takes. */
export function makeKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
}

/**
 * Writes a key where none is.
 * @param group number of a group whose members may read it too
 * @throws SetupRefusal if something has the name; SystemError
 */
export function writeKey(path: string, key: KeyObject, group?: number): void {
  const pem = key.export({ format: 'pem', type: 'pkcs8' });
  writeWhole(path, pem, { mode: MODE_KEY, group, isNew: true });
}

/** Writes something that is no secret where nothing is. @throws SetupRefusal if something has the name; SystemError */
export function writeNew(path: string, text: string): void {
  writeWhole(path, text, { mode: MODE_PUBLIC, group: undefined, isNew: true });
}

/** Puts something that is no secret in the place of what is there. @throws SystemError */
export function writeOver(path: string, text: string): void {
  writeWhole(path, text, { mode: MODE_PUBLIC, group: undefined, isNew: false });
}

/** Gives a file to whoever the hub runs as, the owner of its queue, when root has made it. @throws SystemError */
export function giveToHub(home: string, path: string): void {
  const queue = `${home}/queue`;
  if (process.getuid?.() !== 0 || !fs.existsSync(queue)) return;
  attempt('change the owner of', path, () => {
    const { uid, gid } = fs.statSync(queue);
    fs.chownSync(path, uid, gid);
  });
}

/** Adds a line to a file that only ever grows, so that two programs at once lose nothing. @throws SystemError */
export function appendLine(path: string, line: string): void {
  attempt('write', path, () => {
    const fd = fs.openSync(path, 'a+', MODE_PUBLIC);
    try {
      const { size } = fs.fstatSync(fd);
      const last = new Uint8Array(1);
      if (size > 0) fs.readSync(fd, last, 0, 1, size - 1);
      fs.writeSync(fd, `${size > 0 && last[0] !== LF ? '\n' : ''}${line}\n`);
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    flushFolderOf(Buffer.from(path));
  });
}

/** Reads a private key. @throws SystemError if there is none in the file, or it cannot be read */
export function readKey(path: string): KeyObject {
  return attempt('read', path, () => createPrivateKey(fs.readFileSync(path)));
}

/** Reads the first certificate of a file. @throws SystemError if there is none in the file, or it cannot be read */
export function readCertificate(path: string): X509Certificate {
  return attempt('read', path, () => new X509Certificate(fs.readFileSync(path)));
}

function writeWhole(
  path: string,
  text: string | Buffer,
  { mode, group, isNew }: { mode: number; group: number | undefined; isNew: boolean },
): void {
  const unfinished = `${path}.mini-qmail-new`;
  attempt('write', path, () => {
    fs.rmSync(unfinished, { force: true });
    try {
      const fd = fs.openSync(unfinished, 'wx', MODE_KEY);
      try {
        fs.writeFileSync(fd, text);
        if (group !== undefined) fs.fchownSync(fd, process.getuid?.() ?? 0, group);
        fs.fchmodSync(fd, group === undefined ? mode : mode | 0o040);
        fs.fsyncSync(fd);
      } finally {
        fs.closeSync(fd);
      }
      // A link, unlike a move, never takes the place of another file.
      if (isNew) fs.linkSync(unfinished, path);
      else fs.renameSync(unfinished, path);
    } catch (error) {
      if (errorCode(error) === 'EEXIST')
        throw new SetupRefusal(`Cannot write ${path}: it exists already`, { cause: error });
      throw error;
    } finally {
      fs.rmSync(unfinished, { force: true });
    }
    flushFolderOf(Buffer.from(path));
  });
}

function attempt<T>(operation: string, path: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof SetupRefusal || error instanceof SystemError) throw error;
    throw new SystemError(operation, path, error);
  }
}
