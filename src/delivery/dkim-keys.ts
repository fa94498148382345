// The keys that outgoing mail is signed with: HOME/control/dkim/DOMAIN/SELECTOR.key, one folder for each domain, one PEM
// file for each signature. Keys are parsed once, not for each message.
// Invariant: a domain whose folder is there but not in order is known as such, so that its mail waits and never leaves unsigned.

import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { textOf } from '../core/bytes/bytes.ts';
import { parseControlList } from '../core/format/control-file.ts';
import { SIGNED_FIELDS } from '../core/message/dkim-signature.ts';
import { readFileIfPresent } from '../host/control.ts';
import { errorCode, reasonOf, SystemError } from '../host/system-error.ts';

/** What one signature is made with. */
export interface DkimKey {
  readonly selector: string;
  readonly algorithm: 'rsa-sha256' | 'ed25519-sha256';
  readonly key: KeyObject;
}

/** A domain that signs. */
export interface DkimDomain {
  /** In lower case. */
  readonly domain: string;
  readonly keys: readonly DkimKey[];
  /** Names of the fields to sign, in lower case, see SIGNED_FIELDS. */
  readonly fields: readonly string[];
  /** Whether it signs for the domains below it, too. */
  readonly coversSubdomains: boolean;
  /** Why it cannot sign; its mail has to wait then. */
  readonly trouble?: string;
}

/** RFC 8301 asks for 1024 bits and recommends 2048. */
const RSA_BITS_MIN = 2048;
const KEY_FILE = /^(.+)\.key$/;
const DNS_NAME =
  /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/i;
const DNS_NAME_MAX = 253;
const READABLE_BY_ALL = 0o004;

/** All domains with a folder. */
export class DkimKeyring {
  readonly #domains: ReadonlyMap<string, DkimDomain>;

  constructor(domains: readonly DkimDomain[]) {
    this.#domains = new Map(domains.map((one) => [one.domain, one]));
  }

  /** Whether nobody signs. */
  get isEmpty(): boolean {
    return this.#domains.size === 0;
  }

  /** The domains that can sign. */
  get signing(): string[] {
    return [...this.#domains.values()]
      .filter(({ trouble }) => trouble === undefined)
      .map(({ domain }) => domain);
  }

  /** The domains that cannot sign, each with its trouble. */
  get troubled(): DkimDomain[] {
    return [...this.#domains.values()].filter(({ trouble }) => trouble !== undefined);
  }

  /** Who signs mail from a domain: itself, or the nearest one above it that covers it. @param domain in lower case */
  find(domain: string): DkimDomain | undefined {
    const own = this.#domains.get(domain);
    if (own !== undefined || domain.length > DNS_NAME_MAX) return own;
    for (let dot = domain.indexOf('.'); dot >= 0; dot = domain.indexOf('.', dot + 1)) {
      const above = this.#domains.get(domain.slice(dot + 1));
      if (above?.coversSubdomains) return above;
    }
    return undefined;
  }
}

/** Where the folders of the domains are. */
export function dkimFolder(home: string): string {
  return `${home}/control/dkim`;
}

/** Whether it can stand in DNS as it is, as a domain or a selector. */
export function isDnsName(name: string): boolean {
  return name.length <= DNS_NAME_MAX && DNS_NAME.test(name);
}

/** Reads all keys. @throws SystemError if the folder that holds the folders is there and cannot be read */
export function readDkimKeyring(home: string): DkimKeyring {
  const folder = dkimFolder(home);
  let names: string[];
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    names = entries.filter((entry) => !entry.isFile() && !entry.name.startsWith('.')).map(({ name }) => name);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return new DkimKeyring([]);
    throw new SystemError('read', folder, error);
  }
  return new DkimKeyring(names.map((name) => readDkimDomain(home, name)));
}

/** Reads the folder of one domain. */
export function readDkimDomain(home: string, name: string): DkimDomain {
  const folder = `${dkimFolder(home)}/${name}`;
  const domain = name.toLowerCase();
  let parts: Pick<DkimDomain, 'keys' | 'fields' | 'coversSubdomains'>;
  try {
    if (!isDnsName(domain)) throw new Error(`${folder}: not a domain's name`);
    const files = readdirSync(folder).sort();
    parts = {
      keys: files.filter((file) => KEY_FILE.test(file)).map((file) => readKey(`${folder}/${file}`, file)),
      fields: readFieldNames(`${folder}/headers`),
      coversSubdomains: files.includes('subdomains'),
    };
    if (parts.keys.length === 0) throw new Error(`${folder}: no file SELECTOR.key in it`);
  } catch (error) {
    return {
      domain,
      keys: [],
      fields: [],
      coversSubdomains: hasSubdomains(folder),
      trouble: reasonOf(error),
    };
  }
  return { domain, ...parts };
}

function hasSubdomains(folder: string): boolean {
  try {
    return statSync(`${folder}/subdomains`).isFile();
  } catch (error) {
    // Who cannot look shall not send unsigned what may have to be signed.
    return errorCode(error) !== 'ENOENT';
  }
}

function readFieldNames(path: string): readonly string[] {
  const content = readFileIfPresent(path);
  return content === undefined
    ? SIGNED_FIELDS
    : parseControlList(content).map((name) => textOf(name).toLowerCase());
}

/** @throws Error that names the file and what is wrong with it, nothing of what is in it */
function readKey(path: string, file: string): DkimKey {
  const selector = KEY_FILE.exec(file)?.[1] ?? '';
  if (!isDnsName(selector)) throw new Error(`${path}: not a selector's name`);
  let key: KeyObject;
  const { mode } = statSync(path);
  if ((mode & READABLE_BY_ALL) !== 0)
    throw new Error(
      `${path}: everybody may read this secret (mode ${(mode & 0o777).toString(8)}); chmod o-r it`,
    );
  const pem = readFileSync(path);
  try {
    key = createPrivateKey(pem);
  } catch (error) {
    throw new Error(`${path}: not a private key in PEM form without a password`, { cause: error });
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'ed25519') return { selector, key, algorithm: 'ed25519-sha256' };
  if (type !== 'rsa') throw new Error(`${path}: a key of type ${type}; rsa or ed25519 is needed`);
  const bits = details?.modulusLength ?? 0;
  if (bits < RSA_BITS_MIN) throw new Error(`${path}: ${bits} bits; ${RSA_BITS_MIN} or more are needed`);
  return { selector, key, algorithm: 'rsa-sha256' };
}

/** The text that DNS has to have for a key (RFC 6376 section 3.6.1, RFC 8463 section 4). */
export function dkimRecord({ key, algorithm }: Pick<DkimKey, 'key' | 'algorithm'>): string {
  const der = createPublicKey(key).export({ format: 'der', type: 'spki' });
  // What is published of Ed25519 is the bare key, the last 32 bytes.
  if (algorithm === 'ed25519-sha256') return `v=DKIM1; k=ed25519; p=${der.subarray(-32).toString('base64')}`;
  return `v=DKIM1; k=rsa; p=${der.toString('base64')}`;
}
