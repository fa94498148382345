// control/destinations: what is different for some destinations. Entries `NAME:setting,setting…`, where NAME is a domain
// (or the relay that smtproutes names for it), `.domain` for all below it, or empty for all others; `mx=HOST` and
// `mx=.domain` name all destinations together whose best mail exchanger that is.
// Settings: concurrency=N, rate=N/s (or /m, /h, /d), suspend, lifetime=SECONDS, retry=SECONDS/SECONDS…

import { bytesOf, findByte, textOf } from '../bytes/bytes.ts';
import { DomainMap } from '../format/domain-map.ts';

/** What an entry says; what is undefined stays as it is for everybody. */
export interface DestinationRule {
  /** As in the file, the same object for every destination that the entry is about. */
  readonly name: string;
  readonly concurrency?: number;
  /** Least time between two deliveries, ms. */
  readonly spacingMs?: number;
  readonly suspended?: boolean;
  readonly lifetimeSeconds?: number;
  /** Time between attempts, seconds; the last one is repeated. */
  readonly retrySeconds?: readonly number[];
}

const COLON = 58;
const MX = 'mx=';

/** The entries of control/destinations, see {@link parseDestinationRules}. */
export class DestinationRules {
  readonly #places = new DomainMap();
  readonly #groupPlaces = new DomainMap();
  readonly #rules: DestinationRule[] = [];

  /** Adds an entry; of several with one name the last counts. */
  add(rule: DestinationRule): void {
    const { name } = rule;
    const isGroup = name.substring(0, MX.length) === MX;
    const places = isGroup ? this.#groupPlaces : this.#places;
    places.set(bytesOf(isGroup ? name.substring(MX.length) : name), bytesOf(String(this.#rules.length)));
    this.#rules.push(rule);
  }

  /** The entry for a domain or relay. */
  find(host: string): DestinationRule | undefined {
    return this.#at(this.#places.search(bytesOf(host)));
  }

  /** The entry for destinations with that best mail exchanger. */
  findGroup(exchanger: string): DestinationRule | undefined {
    return this.#at(this.#groupPlaces.search(bytesOf(exchanger)));
  }

  /** Longest time between two attempts that an entry asks for, ms. */
  get longestRetryMs(): number {
    let longest = 0;
    for (const { retrySeconds = [] } of this.#rules)
      for (const seconds of retrySeconds) longest = Math.max(longest, seconds * 1000);
    return longest;
  }

  /** Longest lifetime of an entry, seconds. */
  get longestLifetimeSeconds(): number {
    let longest = 0;
    for (const { lifetimeSeconds = 0 } of this.#rules) longest = Math.max(longest, lifetimeSeconds);
    return longest;
  }

  #at(place: Uint8Array | undefined): DestinationRule | undefined {
    return place && this.#rules[Number(textOf(place))];
  }
}

/**
 * Reads the entries of the list file.
 * @returns the rules, or what is wrong with the first entry that cannot be understood
 */
export function parseDestinationRules(entries: readonly Uint8Array[]): DestinationRules | string {
  const rules = new DestinationRules();
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    const text = textOf(entry);
    const colon = findByte(entry, COLON);
    if (colon < 0) return `"${text}" has no colon`;
    let rule: DestinationRule = { name: text.substring(0, colon).toLowerCase() };
    const words = text.substring(colon + 1).split(',');
    for (let j = 0; j < words.length; j++) {
      const setting = parseSetting(words[j]!.trim());
      if (setting === undefined) return `"${words[j]!.trim()}" is not a setting, in "${text}"`;
      rule = { ...rule, ...setting };
    }
    rules.add(rule);
  }
  return rules;
}

function parseSetting(word: string): Partial<DestinationRule> | undefined {
  if (word === 'suspend') return { suspended: true };
  const [name, value, ...more] = word.split('=');
  if (value === undefined || more.length > 0) return undefined;
  switch (name) {
    case 'concurrency': {
      const concurrency = parseCount(value);
      return concurrency === undefined ? undefined : { concurrency };
    }
    case 'lifetime': {
      const lifetimeSeconds = parseCount(value);
      return lifetimeSeconds === undefined ? undefined : { lifetimeSeconds };
    }
    case 'rate':
      return parseRate(value);
    case 'retry':
      return parseRetry(value);
    default:
      return undefined;
  }
}

function parseRate(value: string): Partial<DestinationRule> | undefined {
  const [number = '', unit = '', ...more] = value.split('/');
  const count = parseCount(number);
  const periodMs = more.length === 0 ? periodOf(unit) : undefined;
  return count === undefined || periodMs === undefined ? undefined : { spacingMs: periodMs / count };
}

/** Milliseconds of a second, minute, hour or day by its letter. */
function periodOf(unit: string): number | undefined {
  switch (unit) {
    case 's':
      return 1000;
    case 'm':
      return 60_000;
    case 'h':
      return 3_600_000;
    case 'd':
      return 86_400_000;
    default:
      return undefined;
  }
}

function parseRetry(value: string): Partial<DestinationRule> | undefined {
  const parts = value.split('/');
  const retrySeconds: number[] = [];
  for (let i = 0; i < parts.length; i++) {
    const seconds = parseCount(parts[i]!);
    if (seconds === undefined) return undefined;
    retrySeconds.push(seconds);
  }
  return { retrySeconds };
}

/** A whole number from 1 to 999999999, or undefined. */
function parseCount(text: string): number | undefined {
  if (text.length === 0 || text.length > 9) return undefined;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value === 0 ? undefined : value;
}
