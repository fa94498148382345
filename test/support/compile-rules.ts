// Compiles rules in this process, for tests that do it often; the program does the same with files.

import { bytesOf, textOf } from '../../src/core/bytes/bytes.ts';
import { buildCdb, type CdbRecord } from '../../src/core/format/cdb.ts';
import { TcpRulesReader } from '../../src/core/format/tcp-rules-source.ts';

/** The records that rules become, or the line that is wrong; and the records before it. */
export function readRules(pieces: readonly Uint8Array[]): { records: CdbRecord[]; bad: string | undefined } {
  const records: CdbRecord[] = [];
  const reader = new TcpRulesReader(({ keys, data }) => {
    for (const key of keys) records.push({ key, data });
  });
  for (const piece of pieces) {
    reader.receive(piece);
    // Whoever hands over bytes may use the memory again.
    piece.fill(0);
  }
  const bad = reader.receiveEnd();
  return { records, bad: bad && textOf(bad) };
}

/** The whole database for rules, as text with one character per byte, or the line that is wrong. */
export function compileRules(rules: string): { cdb: Uint8Array } | { bad: string } {
  const { records, bad } = readRules([bytesOf(rules)]);
  if (bad !== undefined) return { bad };
  const cdb = buildCdb(records);
  if (cdb === undefined) throw new Error('The rules do not fit into a database');
  return { cdb };
}
