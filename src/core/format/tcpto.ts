// The table of addresses that have not answered lately (queue/lock/tcpto): 64 records of 16 bytes with an IPv4 address, a
// count, and at byte 8 the time of the last timeout in seconds, least significant byte first. Source: the qmail-tcpto,
// qmail-tcpok and qmail-remote manual pages, and what qmail-remote reads and writes.

/** Size of a whole table; a shorter one has fewer records. */
export const TCPTO_BYTES = 1024;
/** Size of one record. */
export const TCPTO_RECORD_BYTES = 16;

const COUNT_AT = 4;
const WHEN_AT = 8;
const SKIP_COUNT = 2;
const COUNT_MAX = 10;
const SAME_TROUBLE_SECONDS = 120;
/** How much longer a record is worth for each timeout, when the least worthy makes room. */
const WORTH_SECONDS = 1024;

/** An address with timeouts. */
export interface TcptoEntry {
  readonly ip: Uint8Array;
  /** 1 to 10, unless somebody else wrote it. */
  readonly count: number;
  readonly whenSeconds: number;
}

/** Where the record of an address begins, or -1. @param ip four bytes */
export function findTcptoRecord(table: Uint8Array, ip: Uint8Array): number {
  for (let at = 0; at + TCPTO_RECORD_BYTES <= table.length; at += TCPTO_RECORD_BYTES) {
    if (hasAddress(table, at, ip)) return at;
  }
  return -1;
}

/** Whether to leave an address alone: two timeouts or more, the last one not long ago. @param pid makes hosts differ in how long */
export function isTimedOut(
  table: Uint8Array,
  ip: Uint8Array,
  { nowSeconds, pid }: { readonly nowSeconds: number; readonly pid: number },
): boolean {
  const at = findTcptoRecord(table, ip);
  if (at < 0 || table[at + COUNT_AT]! < SKIP_COUNT) return false;
  return nowSeconds - whenOf(table, at) < (60 + (pid % 32)) * 64;
}

/**
 * Notes a timeout in the table; where the record is that has changed, or -1. A timeout soon after the last one is the same
 * trouble and changes nothing. A new address takes an empty record, else that of the one which matters least.
 */
export function noteTimeout(table: Uint8Array, ip: Uint8Array, nowSeconds: number): number {
  const known = findTcptoRecord(table, ip);
  if (known >= 0) {
    const count = table[known + COUNT_AT]!;
    if (count > 0 && nowSeconds < whenOf(table, known) + SAME_TROUBLE_SECONDS) return -1;
    setRecord(table, known, Math.min(count + 1, COUNT_MAX), nowSeconds);
    return known;
  }
  const at = findRoom(table);
  if (at < 0) return -1;
  table.set(ip, at);
  setRecord(table, at, 1, nowSeconds);
  return at;
}

/** Forgets the timeouts of an address; where its record is, or -1. */
export function clearTimeouts(table: Uint8Array, ip: Uint8Array): number {
  const at = findTcptoRecord(table, ip);
  if (at >= 0) table[at + COUNT_AT] = 0;
  return at;
}

/** Every address with timeouts, in the table's order. */
export function listTimeouts(table: Uint8Array): TcptoEntry[] {
  const entries: TcptoEntry[] = [];
  for (let at = 0; at + TCPTO_RECORD_BYTES <= table.length; at += TCPTO_RECORD_BYTES) {
    const count = table[at + COUNT_AT]!;
    if (count > 0) entries.push({ ip: table.subarray(at, at + 4), count, whenSeconds: whenOf(table, at) });
  }
  return entries;
}

function hasAddress(table: Uint8Array, at: number, ip: Uint8Array): boolean {
  for (let i = 0; i < 4; i++) if (table[at + i] !== ip[i]) return false;
  return true;
}

function whenOf(table: Uint8Array, at: number): number {
  let when = 0;
  for (let i = 3; i >= 0; i--) when = when * 256 + table[at + WHEN_AT + i]!;
  return when;
}

function setRecord(table: Uint8Array, at: number, count: number, nowSeconds: number): void {
  table[at + COUNT_AT] = count;
  let rest = nowSeconds;
  for (let i = 0; i < 4; i++) {
    table[at + WHEN_AT + i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}

function findRoom(table: Uint8Array): number {
  let best = -1;
  let bestWorth = 0;
  for (let at = 0; at + TCPTO_RECORD_BYTES <= table.length; at += TCPTO_RECORD_BYTES) {
    const count = table[at + COUNT_AT]!;
    if (count === 0) return at;
    const worth = whenOf(table, at) + count * WORTH_SECONDS;
    if (best < 0 || worth < bestWorth) {
      best = at;
      bestWorth = worth;
    }
  }
  return best;
}
