// The records of who is logged in where, as glibc keeps them in /var/run/utmp. Source: utmp(5).

import { equalBytes, untilNul } from '../bytes/bytes.ts';

/** Bytes of a record where times have 32 bits (x86) and where they have 64 (ARM). */
export const LOGIN_RECORD_BYTES = { short: 384, long: 400 } as const;

const USER_PROCESS = 7;
const LINE_AT = 8;
const LINE_BYTES = 32;
const USER_AT = 44;
const USER_BYTES = 32;

/** The terminals on which a user is logged in, by the names of their devices in /dev; an incomplete record is left out. */
export function terminalsOf(records: Uint8Array, recordBytes: number, user: Uint8Array): Uint8Array[] {
  const terminals: Uint8Array[] = [];
  for (let at = 0; at + recordBytes <= records.length; at += recordBytes) {
    const record = records.subarray(at, at + recordBytes);
    // The kind is a 16-bit number in the host's order; only its low byte is ever used.
    if (record[0]! + record[1]! !== USER_PROCESS) continue;
    const name = untilNul(record.subarray(USER_AT, USER_AT + USER_BYTES));
    if (equalBytes(name, user)) terminals.push(untilNul(record.subarray(LINE_AT, LINE_AT + LINE_BYTES)));
  }
  return terminals;
}
