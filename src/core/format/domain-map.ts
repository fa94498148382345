// Control files that are searched by domain: locals and percenthack (sets), smtproutes and virtualdomains (key:value).
// ASCII case is ignored; of several lines with one key the last wins. Source: the qmail-send and qmail-remote manual pages.

import { bytesOf, findByte, findLastByte, lowerCase, textOf } from '../bytes/bytes.ts';

const COLON = 58;
const DOT = 46;
const AT = 64;

/** Values by domain, in any case of letters. */
export class DomainMap {
  // A prefix keeps names such as __proto__ from meaning anything to the object.
  readonly #values: { [prefixedKey: string]: Uint8Array } = {};
  #isEmpty = true;

  set(key: Uint8Array, value: Uint8Array): void {
    this.#isEmpty = false;
    this.#values[`:${textOf(lowerCase(key))}`] = value;
  }

  /** The value of exactly this key, or undefined. */
  get(key: Uint8Array): Uint8Array | undefined {
    return this.#isEmpty ? undefined : this.#values[`:${textOf(lowerCase(key))}`];
  }

  /** Every value that some key has. */
  listValues(): Uint8Array[] {
    return Object.keys(this.#values).map((key) => this.#values[key]!);
  }

  has(key: Uint8Array): boolean {
    return this.get(key) !== undefined;
  }

  /**
   * The value of the domain, else of its longest suffix that begins with a dot, else of the empty key: the first key
   * that is there decides, whatever its value. Takes time proportional to length times number of dots.
   */
  search(domain: Uint8Array): Uint8Array | undefined {
    if (this.#isEmpty) return undefined;
    const whole = this.get(domain);
    if (whole !== undefined) return whole;
    for (let dot = findByte(domain, DOT); dot >= 0; dot = findByte(domain, DOT, dot + 1)) {
      const value = this.get(domain.subarray(dot));
      if (value !== undefined) return value;
    }
    return this.get(bytesOf(''));
  }
}

/** A set of domains from the entries of a list control file. */
export function parseDomainSet(entries: readonly Uint8Array[]): DomainMap {
  const map = new DomainMap();
  for (let i = 0; i < entries.length; i++) map.set(entries[i]!, entries[i]!);
  return map;
}

/** `key:value` entries, split at the first colon; entries without a colon are ignored. */
export function parseDomainMap(entries: readonly Uint8Array[]): DomainMap {
  const map = new DomainMap();
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    const colon = findByte(entry, COLON);
    if (colon >= 0) map.set(entry.subarray(0, colon), entry.subarray(colon + 1));
  }
  return map;
}

/** What stands after the last `@`, or undefined if there is none. */
export function domainOf(address: Uint8Array): Uint8Array | undefined {
  const at = findLastByte(address, AT);
  return at < 0 ? undefined : address.subarray(at + 1);
}
