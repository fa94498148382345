// The file HOME/queue/lock/tcpto, shared with other programs of qmail: changes are made under its lock, one record at a
// time. Invariant: a file that is missing, short or in trouble means that nothing is remembered; mail goes out all the same.

import { closeSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import {
  clearTimeouts,
  findTcptoRecord,
  isTimedOut,
  noteTimeout,
  TCPTO_BYTES,
  TCPTO_RECORD_BYTES,
} from '../core/format/tcpto.ts';
import type { Clock } from '../host/clock.ts';
import { lockFile } from '../host/file-lock.ts';
import type { Environment } from '../host/raw-arguments.ts';

/** What is remembered of addresses; an address is its four bytes. */
export interface TcptoMemory {
  /** Whether to leave the address alone for now. */
  isTimedOut(ip: Uint8Array): boolean;
  /** A connection was made, or failed, by a timeout or otherwise. */
  note(ip: Uint8Array, hasTimedOut: boolean): void;
}

/** The memory of an installation. */
export function openTcpto(home: string, clock: Clock, env: Environment): TcptoMemory {
  const path = `${home}/queue/lock/tcpto`;
  const nowSeconds = () => Math.floor(clock.nowMs() / 1000);
  let wasThere = false;
  return {
    isTimedOut(ip) {
      const table = readTable(path);
      wasThere = findTcptoRecord(table, ip) >= 0;
      return isTimedOut(table, ip, { nowSeconds: nowSeconds(), pid: process.pid });
    },
    note(ip, hasTimedOut) {
      if (!hasTimedOut && !wasThere) return;
      change(path, env, (table) =>
        hasTimedOut ? noteTimeout(table, ip, nowSeconds()) : clearTimeouts(table, ip),
      );
    },
  };
}

function readTable(path: string): Uint8Array {
  try {
    return readFileSync(path).subarray(0, TCPTO_BYTES);
  } catch {
    return new Uint8Array(0);
  }
}

/** @param edit changes the table and says where the one changed record is, or -1 */
function change(path: string, env: Environment, edit: (table: Uint8Array) => number): void {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, 'r+');
    lockFile(descriptor, env);
    const table = new Uint8Array(TCPTO_BYTES);
    const length = readSync(descriptor, table, 0, TCPTO_BYTES, 0);
    const at = edit(table.subarray(0, length));
    if (at >= 0) writeSync(descriptor, table, at, TCPTO_RECORD_BYTES, at);
  } catch {
    // Nothing is remembered, then.
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
