// Turns a short host name into the full names that it may stand for, by rewriting rules. Source: the page
// cr.yp.to/djbdns/qualification.html. Rules apply in order, each to what the one before has made.

import { bytesOf, concatBytes, findByte, lowerByte, startsWith } from '../../bytes/bytes.ts';

const LF = 10;
const COLON = 58;
const PLUS = 43;
const DOT = 46;
const RULE_MARKS = bytesOf('?=*-');
const QUESTION = 63;
const EQUALS = 61;
const DASH = 45;

/** Where rules come from; the first that is there counts. */
export interface QualificationSources {
  /** Content of `$DNSREWRITEFILE` or /etc/dnsrewrite: a rule per line. */
  readonly rewriteFile?: Uint8Array | undefined;
  /** `$LOCALDOMAIN`: domains separated by spaces. */
  readonly localDomain?: Uint8Array | undefined;
  /** /etc/resolv.conf, for its `search` or `domain` line. */
  readonly resolvConf: Uint8Array;
  /** The machine's name, whose part from the first dot on is its domain. */
  readonly hostName: Uint8Array;
}

/** The rules that hold on this host. */
export function qualificationRules(sources: QualificationSources): Uint8Array[] {
  const { rewriteFile, localDomain, resolvConf, hostName } = sources;
  if (rewriteFile !== undefined) return splitLines(rewriteFile);
  if (localDomain !== undefined) return rulesForDomains(splitWords(localDomain));
  const lines = splitLines(resolvConf);
  for (let i = 0; i < lines.length; i++) {
    const [keyword, ...domains] = splitWords(lines[i]!);
    if (keyword === undefined || domains.length === 0) continue;
    if (isWord(keyword, 'search') || isWord(keyword, 'domain')) return rulesForDomains(domains);
  }
  const dot = findByte(hostName, DOT);
  return rulesForDomains(dot < 0 ? [] : [hostName.subarray(dot + 1)]);
}

/** A name without dots and brackets gets each domain in turn; a dot at the end of a name is removed. */
function rulesForDomains(domains: readonly Uint8Array[]): Uint8Array[] {
  const parts: Uint8Array[] = [bytesOf('?:')];
  for (let i = 0; i < domains.length; i++) {
    if (domains[i]!.length > 0) parts.push(bytesOf('+.'), domains[i]!);
  }
  const removal = bytesOf('*.:');
  return parts.length > 1 ? [concatBytes(parts), removal] : [removal];
}

/** The names to look up, in order: the first that has an address is meant. `a+b+c` stands for the names `ab` and `ac`. */
export function qualifyHost(host: Uint8Array, rules: readonly Uint8Array[]): Uint8Array[] {
  let name = host;
  for (let i = 0; i < rules.length; i++) name = applyRule(name, rules[i]!);
  const plus = findByte(name, PLUS);
  if (plus < 0) return [name];
  const names: Uint8Array[] = [];
  for (let from = plus; from >= 0; ) {
    const next = findByte(name, PLUS, from + 1);
    const part = name.subarray(from + 1, next < 0 ? name.length : next);
    names.push(concatBytes([name.subarray(0, plus), part]));
    from = next;
  }
  return names;
}

/** A rule is a mark, what the name has to end with, a colon, and what to put in its place. Others change nothing. */
function applyRule(name: Uint8Array, rule: Uint8Array): Uint8Array {
  const mark = rule[0];
  const colon = findByte(rule, COLON);
  if (mark === undefined || findByte(RULE_MARKS, mark) < 0 || colon < 0) return name;
  const from = rule.subarray(1, colon);
  const keptLength = name.length - from.length;
  if (keptLength < 0 || (mark === EQUALS && keptLength > 0)) return name;
  for (let i = 0; i < from.length; i++) {
    if (lowerByte(name[keptLength + i]!) !== lowerByte(from[i]!)) return name;
  }
  const kept = name.subarray(0, keptLength);
  if (mark === QUESTION && hasDotOrBracket(kept)) return name;
  return concatBytes([mark === DASH ? kept.subarray(0, 0) : kept, rule.subarray(colon + 1)]);
}

function hasDotOrBracket(name: Uint8Array): boolean {
  return findByte(name, DOT) >= 0 || findByte(name, 91) >= 0 || findByte(name, 93) >= 0;
}

function isWord(word: Uint8Array, text: string): boolean {
  return word.length === text.length && startsWith(word, bytesOf(text));
}

function splitLines(text: Uint8Array): Uint8Array[] {
  return split(text, (byte) => byte === LF);
}

function splitWords(text: Uint8Array): Uint8Array[] {
  return split(text, (byte) => byte === 32 || byte === 9 || byte === 13 || byte === LF);
}

/** What stands between separators, empty pieces left out. */
function split(text: Uint8Array, isSeparator: (byte: number) => boolean): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let from = 0;
  for (let at = 0; at <= text.length; at++) {
    if (at < text.length && !isSeparator(text[at]!)) continue;
    if (at > from) pieces.push(text.subarray(from, at));
    from = at + 1;
  }
  return pieces;
}
