// The words behind a server in control/qmqpservers and $QMQPSERVERS: tls, ca=FILE, cert=FILE, key=FILE, name=NAME, gzip, hub,
// hub=NAME. Invariant: a word that is not understood is told, never dropped, so that no server is used with less
// protection than was asked for. Values are printable ASCII without blanks.

import { textOf } from '../bytes/bytes.ts';

/** How a connection is to be protected; a file that is not named has a default, which is in the control folder. */
export interface ServerTls {
  /** File of certificates of authorities that the server's must come from. */
  readonly ca?: string;
  /** File of the certificate that this host shows, and of its key. */
  readonly cert?: string;
  readonly key?: string;
  /** The name that the server's certificate must have, in place of the host of the line. */
  readonly name?: string;
}

/** What the words say. */
export interface ServerOptions {
  /** Present: the connection is made by TLS or not at all. */
  readonly tls?: ServerTls;
  /** The request travels as one gzip stream. */
  readonly gzip?: true;
  /** The server recognises resubmissions; lines with the same name, if it is not empty, lead to the same hub. */
  readonly hub?: string;
}

const EQUALS = 61;
const WITH_FILE = ['ca', 'cert', 'key'];

/** Whether the word has the form of an option, well formed or not: the name of one, or anything with `=`. */
export function isOptionWord(word: Uint8Array): boolean {
  const { name, value } = splitWord(word);
  return value !== undefined || isOptionName(name);
}

/** Whether the word has the name of an option that asks for protection, well formed or not. */
export function asksForProtection(word: Uint8Array): boolean {
  const { name, value } = splitWord(word);
  return name === 'tls' || (value !== undefined && (name === 'name' || WITH_FILE.indexOf(name) >= 0));
}

/** Whether the word has the name of an option. */
export function isKnownOption(word: Uint8Array): boolean {
  return isOptionName(splitWord(word).name);
}

/**
 * Reads the words behind a server, from that one on. `hasTls`: the server is written so that TLS is meant (`qmqps://`).
 * @returns the options, or why the words cannot be followed
 */
export function readServerOptions(
  words: readonly Uint8Array[],
  { from, hasTls }: { from: number; hasTls: boolean },
): ServerOptions | string {
  const tls: { ca?: string; cert?: string; key?: string; name?: string } = {};
  const options: { tls?: ServerTls; gzip?: true; hub?: string } = {};
  if (hasTls) options.tls = tls;
  const seen: string[] = [];
  for (let i = from; i < words.length; i++) {
    const word = words[i]!;
    const { name, value } = splitWord(word);
    if (seen.indexOf(name) >= 0) return `${shown(word)} is there twice`;
    seen.push(name);
    if (!isOptionName(name)) return `${shown(word)} is no option of a server`;
    if (value !== undefined && (name === 'tls' || name === 'gzip')) return `${name} takes no value`;
    if (value === '' || (value === undefined && isValueNeeded(name))) return `${name} has no value`;
    if (value !== undefined && !isPrintable(value)) return `the value of ${name} is not printable ASCII`;
    if (name === 'tls') options.tls = tls;
    else if (name === 'gzip') options.gzip = true;
    else if (name === 'hub') options.hub = value ?? '';
    else tls[name as 'ca' | 'cert' | 'key' | 'name'] = value!;
  }
  if (options.tls === undefined && (tls.ca ?? tls.cert ?? tls.key ?? tls.name) !== undefined)
    return 'ca, cert, key and name are of use with tls only';
  return options;
}

function isOptionName(name: string): boolean {
  return name === 'tls' || name === 'gzip' || name === 'hub' || isValueNeeded(name);
}

function isValueNeeded(name: string): boolean {
  return name === 'name' || WITH_FILE.indexOf(name) >= 0;
}

function splitWord(word: Uint8Array): { name: string; value: string | undefined } {
  const text = textOf(word);
  const at = text.indexOf(String.fromCharCode(EQUALS));
  return at < 0 ? { name: text, value: undefined } : { name: text.slice(0, at), value: text.slice(at + 1) };
}

function isPrintable(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 33 || code > 126) return false;
  }
  return true;
}

/** The word for a message: its name, cut, with what is not printable replaced. */
function shown(word: Uint8Array): string {
  let text = '';
  for (let i = 0; i < word.length && i < 40; i++) {
    const byte = word[i]!;
    text += byte < 33 || byte > 126 ? '?' : String.fromCharCode(byte);
  }
  return text;
}

/** The options as words, as they would be written. */
export function formatOptions({ tls, gzip, hub }: ServerOptions): string[] {
  const words: string[] = [];
  if (tls !== undefined) {
    words.push('tls');
    for (const name of ['ca', 'cert', 'key', 'name'] as const)
      if (tls[name] !== undefined) words.push(`${name}=${tls[name]}`);
  }
  if (gzip) words.push('gzip');
  if (hub !== undefined) words.push(hub === '' ? 'hub' : `hub=${hub}`);
  return words;
}
