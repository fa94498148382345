// Completes one address: removes a source route and trailing dots and adds the default host, plus domain and default
// domain, so that whatever a user writes in a header becomes an address that works everywhere.
// Source: the qmail-header manual page (DEFAULT HOST, PLUS DOMAIN, DEFAULT DOMAIN), RFC 1123 section 5.3.3 (routes).

import { COMPLETED } from './inject-observer.ts';
import { AT, ATOM, COLON, DOT, LITERAL, type TokenList } from './tokens.ts';

const PLUS = 43;

/** What rewriting adds, each with the separator before it. */
export interface RewriteDefaults {
  /** Tokens of `@` and the default host. */
  readonly host: TokenList;
  /** Tokens of `.` and the default domain. */
  readonly domain: TokenList;
  /** Tokens of `.` and the plus domain. */
  readonly plus: TokenList;
}

/**
 * Puts the address in full into `result`, which is cleared first. Empty stays empty, and what ends with `@[]` is not
 * touched. Returns what was done, a sum of {@link COMPLETED}.
 */
export function rewriteAddress(address: TokenList, defaults: RewriteDefaults, result: TokenList): number {
  result.clear();
  if (endsWithEmptyHost(address)) {
    result.appendAll(address);
    return 0;
  }
  const from = address.kind(0) === AT ? findRouteEnd(address) : 0;
  let to = address.length;
  if (to > from && address.kind(to - 1) === DOT) to--;
  if (to > from && address.kind(to - 1) === AT) to--;
  if (to <= from) return 0;

  let completed = from > 0 ? COMPLETED.route : 0;
  result.appendAll(address, from, to);
  if (findLastAt(result) < 0) {
    result.appendAll(defaults.host);
    completed += COMPLETED.host;
  }
  if (endsWithPlus(result)) {
    result.dropLastByte();
    result.appendAll(defaults.plus);
    completed += COMPLETED.plus;
  }
  if (lacksDomain(result)) {
    result.appendAll(defaults.domain);
    completed += COMPLETED.domain;
  }
  return completed;
}

/** Whether the address ends with `@[]`, the host of addresses that no rewriting may change. */
function endsWithEmptyHost(address: TokenList): boolean {
  const last = address.length - 1;
  if (last < 1 || address.kind(last) !== LITERAL || address.kind(last - 1) !== AT) return false;
  return address.startOf(last) === address.endOf(last);
}

/** Index after the colon that ends a source route, or the length if nothing ends it. */
function findRouteEnd(address: TokenList): number {
  for (let i = 0; i < address.length; i++) if (address.kind(i) === COLON) return i + 1;
  return address.length;
}

function findLastAt(address: TokenList): number {
  for (let i = address.length - 1; i >= 0; i--) if (address.kind(i) === AT) return i;
  return -1;
}

function endsWithPlus(address: TokenList): boolean {
  const last = address.length - 1;
  if (last < 0 || address.kind(last) !== ATOM) return false;
  const end = address.endOf(last);
  return end > address.startOf(last) && address.byteAt(end - 1) === PLUS;
}

/** Whether what stands after the last `@` has neither a dot nor a literal in it. */
function lacksDomain(address: TokenList): boolean {
  for (let i = findLastAt(address) + 1; i < address.length; i++) {
    if (address.kind(i) === DOT || address.kind(i) === LITERAL) return false;
  }
  return true;
}
