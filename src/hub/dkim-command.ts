// mini-qmail dkim: makes keys for signing mail, and compares them with what DNS says. Source: RFC 6376 section 3.6.

import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { dkimFolder, dkimRecord, isDnsName, readDkimDomain } from '../delivery/dkim-keys.ts';
import type { AskDns } from '../host/dns-client.ts';
import { openHostDns } from '../host/host-dns.ts';
import { errorCode, SystemError } from '../host/system-error.ts';

/** Types of keys. */
export type DkimKeyType = 'rsa' | 'ed25519';

/** What a key is made for. */
export interface KeygenOptions {
  readonly home: string;
  readonly domain: string;
  readonly selector: string;
  readonly type: DkimKeyType;
}

const RSA_BITS = 2048;
const STRING_BYTES_MAX = 255;
const EXIT_DIFFERENT = 100;
const EXIT_TEMPORARY = 111;

/**
 * Makes a key, writes it where the hub looks for it, and gives the DNS record to publish.
 * @throws Error if a name cannot be one or the key exists already; SystemError
 */
export function makeDkimKey({ home, domain, selector, type }: KeygenOptions): string {
  for (const name of [domain, selector])
    if (!isDnsName(name)) throw new Error(`Cannot make a key: "${name}" is not a name that DNS can have`);
  const privateKey = generateKey(type);
  const folder = `${dkimFolder(home)}/${domain.toLowerCase()}`;
  const path = `${folder}/${selector}.key`;
  // In a folder of its own the key is complete before the domain is one that signs.
  try {
    makeFolders(home, folder);
    const pem = privateKey.export({ format: 'pem', type: 'pkcs8' });
    writeFileSync(path, pem, { mode: 0o600, flag: 'wx' });
    giveToHub(home, path);
  } catch (error) {
    if (errorCode(error) === 'EEXIST')
      throw new Error(`Cannot write ${path}: it exists already`, { cause: error });
    throw new SystemError('write', path, error);
  }
  const algorithm = type === 'rsa' ? 'rsa-sha256' : 'ed25519-sha256';
  const record = dkimRecord({ key: privateKey, algorithm });
  return `${recordName(selector, domain)}. IN TXT ${quoteStrings(record)}\n`;
}

function generateKey(type: DkimKeyType): KeyObject {
  if (type === 'ed25519') return generateKeyPairSync('ed25519').privateKey;
  return generateKeyPairSync('rsa', { modulusLength: RSA_BITS }).privateKey;
}

function makeFolders(home: string, folder: string): void {
  for (const path of [dkimFolder(home), folder]) {
    if (existsSync(path)) continue;
    mkdirSync(path, { mode: 0o755 });
    giveToHub(home, path);
  }
}

/** Root makes files for whoever the hub runs as: the owner of its queue. */
function giveToHub(home: string, path: string): void {
  const queue = `${home}/queue`;
  if (process.getuid?.() !== 0 || !existsSync(queue)) return;
  const { uid, gid } = statSync(queue);
  chownSync(path, uid, gid);
}

function recordName(selector: string, domain: string): string {
  return `${selector}._domainkey.${domain}`;
}

/** A record as quoted strings of at most 255 bytes each, in parentheses if there are several. */
function quoteStrings(record: string): string {
  const strings: string[] = [];
  for (let at = 0; at < record.length; at += STRING_BYTES_MAX)
    strings.push(`"${record.slice(at, at + STRING_BYTES_MAX)}"`);
  return strings.length === 1 ? strings.join('') : `( ${strings.join(' ')} )`;
}

/** What a look at DNS says of the keys of a domain. */
export interface DkimCheck {
  /** A line for each key. */
  readonly text: string;
  /** 0 if every key is published, 100 if one is not, 111 if DNS could not tell. */
  readonly exit: number;
}

/** Compares every key of a domain with DNS. @throws Error if the domain has no keys or they are not in order */
export async function checkDkimKeys(home: string, domain: string, askDns: AskDns): Promise<DkimCheck> {
  const { keys, trouble } = readDkimDomain(home, domain.toLowerCase());
  if (trouble !== undefined) throw new Error(`Cannot use the keys of ${domain}: ${trouble}`);
  const exits: number[] = [];
  let text = '';
  for (const key of keys) {
    const name = recordName(key.selector, domain);
    const answers = await askDns(bytesOf(name), 'TXT');
    const { exit, words } = judge(dkimRecord(key), answers === 'failed' ? undefined : answers.map(textOf));
    exits.push(exit);
    text += `${name}: ${words}\n`;
  }
  return { text, exit: Math.max(...exits) };
}

/** Prints what {@link checkDkimKeys} says, of the name servers that this host uses. @returns the exit code */
export async function runDkimCheck(home: string, domain: string): Promise<number> {
  const { text, exit } = await checkDkimKeys(home, domain, openHostDns());
  process.stdout.write(text);
  return exit;
}

function judge(record: string, published: readonly string[] | undefined): { exit: number; words: string } {
  if (published === undefined) return { exit: EXIT_TEMPORARY, words: 'DNS cannot tell' };
  if (published.length === 0) return { exit: EXIT_DIFFERENT, words: 'not published' };
  if (published.length > 1)
    return { exit: EXIT_DIFFERENT, words: 'several records, of which one may be there' };
  const [wanted, found] = [record, published[0]!].map((text) => tagOf(text, 'p'));
  if (found === '') return { exit: EXIT_DIFFERENT, words: 'revoked' };
  return found === wanted
    ? { exit: 0, words: 'published' }
    : { exit: EXIT_DIFFERENT, words: 'published with another key' };
}

/** The value of a tag without its blanks, undefined without the tag. */
function tagOf(record: string, name: string): string | undefined {
  for (const tag of record.split(';')) {
    const equals = tag.indexOf('=');
    if (equals >= 0 && tag.slice(0, equals).trim() === name) return tag.slice(equals + 1).replace(/\s/g, '');
  }
  return undefined;
}
