// Lines of recordio's log: what went each way, cut as it came. Source: the recordio page of cr.yp.to/ucspi-tcp.

import { bytesOf, concatBytes, findByte } from '../bytes/bytes.ts';

const LF = 10;
const READ_MAX = 256;

/** Which way: `<` from the network to the program, `>` back. */
export type RecordDirection = '<' | '>';

/**
 * The lines for bytes that came, each to be written at once: one per line of the traffic, with a space before the LF; a
 * piece that does not end with LF has a plus there. At most 256 bytes are looked at as one piece.
 */
export function formatRecord(pid: number, direction: RecordDirection, bytes: Uint8Array): Uint8Array[] {
  const head = bytesOf(`${pid} ${direction} `);
  const lines: Uint8Array[] = [];
  for (let start = 0; start < bytes.length; start += READ_MAX) {
    const read = bytes.subarray(start, start + READ_MAX);
    for (let from = 0; from < read.length; ) {
      const lf = findByte(read, LF, from);
      const end = lf < 0 ? read.length : lf;
      lines.push(concatBytes([head, read.subarray(from, end), bytesOf(lf < 0 ? '+\n' : ' \n')]));
      from = end + 1;
    }
  }
  return lines;
}

/** The line for the end of what comes from one side. */
export function formatRecordEnd(pid: number, direction: RecordDirection): Uint8Array {
  return bytesOf(`${pid} ${direction} [EOF]\n`);
}
