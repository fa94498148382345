// control/tlspolicy: how much TLS a destination must offer. Entries `NAME:LEVEL,OPTION…`, where NAME is a domain (or the
// relay that smtproutes names for it), `.domain` for all below it, or empty for all others.
// Levels: none, may, encrypt, verify, dane. Options: name=HOST, ca=FILE (with verify), only (no MTA-STS, no DANE).
// Invariant: an entry that cannot be understood is an error, never a weaker level.

import { bytesOf, findByte, textOf } from '../bytes/bytes.ts';
import { DomainMap } from '../format/domain-map.ts';

/**
 * none: never TLS; may: if offered, whatever the certificate; encrypt: always, whatever the certificate; verify: always, with
 * a valid certificate of the right name; dane: always, with a certificate that TLSA records name.
 */
export type TlsLevel = 'none' | 'may' | 'encrypt' | 'verify' | 'dane';

/** What an entry says. */
export interface TlsRule {
  readonly level: TlsLevel;
  /** Names of which the certificate must have one, in place of the host's own; empty without any. */
  readonly names: readonly string[];
  /** Path of a file with the certificates of authorities (PEM), in place of the system's. */
  readonly ca: string | undefined;
  /** Whether this is all: what MTA-STS and DANE would ask for is not looked at. */
  readonly isAlone: boolean;
}

const COLON = 58;
const LEVELS: readonly TlsLevel[] = ['none', 'may', 'encrypt', 'verify', 'dane'];

/** What holds where no entry does. */
export const DEFAULT_TLS_RULE: TlsRule = { level: 'may', names: [], ca: undefined, isAlone: false };

/** The entries of control/tlspolicy, see {@link parseTlsRules}. */
export class TlsRules {
  readonly #places = new DomainMap();
  readonly #rules: TlsRule[] = [];

  /** Adds an entry; of several with one name the last counts. */
  add(name: Uint8Array, rule: TlsRule): void {
    this.#places.set(name, bytesOf(String(this.#rules.length)));
    this.#rules.push(rule);
  }

  /** The entry for a domain or relay; undefined if none is about it. */
  find(host: string): TlsRule | undefined {
    const place = this.#places.search(bytesOf(host));
    return place && this.#rules[Number(textOf(place))];
  }

  /** Every file that some entry names. */
  listFiles(): string[] {
    const files: string[] = [];
    for (let i = 0; i < this.#rules.length; i++) {
      const { ca } = this.#rules[i]!;
      if (ca !== undefined) files.push(ca);
    }
    return files;
  }
}

/**
 * Reads the entries of the list file.
 * @returns the rules, or what is wrong with the first entry that cannot be understood
 */
export function parseTlsRules(entries: readonly Uint8Array[]): TlsRules | string {
  const rules = new TlsRules();
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    const colon = findByte(entry, COLON);
    if (colon < 0) return `"${textOf(entry)}" has no colon`;
    const rule = parseRule(textOf(entry.subarray(colon + 1)));
    if (typeof rule === 'string') return `${rule}, in "${textOf(entry)}"`;
    rules.add(entry.subarray(0, colon), rule);
  }
  return rules;
}

function parseRule(text: string): TlsRule | string {
  const words = text.split(',');
  const level = levelOf(words[0]!.trim());
  if (level === undefined) return `"${words[0]!.trim()}" is not one of ${LEVELS.join(', ')}`;
  const names: string[] = [];
  let ca: string | undefined;
  let isAlone = level === 'none' || level === 'verify';
  for (let i = 1; i < words.length; i++) {
    const word = words[i]!.trim();
    if (word === 'only' && level !== 'dane') isAlone = true;
    else if (level === 'verify' && word.length > 5 && word.substring(0, 5) === 'name=') {
      names.push(word.substring(5).toLowerCase());
    } else if (level === 'verify' && word.length > 3 && word.substring(0, 3) === 'ca=')
      ca = word.substring(3);
    else return `"${word}" is not an option of ${level}`;
  }
  return { level, names, ca, isAlone };
}

function levelOf(word: string): TlsLevel | undefined {
  for (let i = 0; i < LEVELS.length; i++) if (LEVELS[i] === word) return LEVELS[i];
  return undefined;
}
