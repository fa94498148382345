// tcprules: compiles the rules on standard input into a constant database, which takes the place of the old one in one step.
// A line that cannot be read leaves the old one as it is.
// Source: the tcprules page of cr.yp.to/ucspi-tcp. Differs: the new name is flushed; a file too big for the format is called
// that, not lack of memory; networks, IPv6 addresses and certificates, see format/tcp-rules-source.ts.

import { failOnSystem } from '../client/fatal.ts';
import { failPermanently, refuseUsage } from '../client/refuse.ts';
import { insist, Trouble } from '../client/trouble.ts';
import { untilNul } from '../core/bytes/bytes.ts';
import { TcpRulesReader } from '../core/format/tcp-rules-source.ts';
import { CdbFileWriter } from '../host/cdb-file-writer.ts';
import type { ProgramWords } from '../host/program-words.ts';
import { readStandardInput } from '../host/standard-input.ts';
import { replaceFile } from './replace-file.ts';

const PROGRAM = 'tcprules';
const CHUNK_BYTES = 65_536;

/** Runs tcprules to its end; returns its exit code. */
export function runTcprules({ args: [cdb, tmp] }: ProgramWords): number {
  if (cdb === undefined || tmp === undefined) return refuseUsage(PROGRAM, 'tcprules rules.cdb rules.tmp');
  try {
    const writer = insist(['create ', tmp], () => new CdbFileWriter(tmp));
    const bad = compileInput((key, data) => insist(['write to ', tmp], () => writer.add(key, data)));
    if (bad !== undefined) return failPermanently(PROGRAM, 'unable to parse this line: ', untilNul(bad));
    insist(['write to ', tmp], () => writer.finish());
    replaceFile(tmp, cdb);
    return 0;
  } catch (error) {
    if (error instanceof Trouble) return failOnSystem(PROGRAM, error.action, error.cause);
    throw error;
  }
}

/** Reads the input to its end, or to the first line that is no rule, which it returns. @throws Trouble */
function compileInput(add: (key: Uint8Array, data: Uint8Array) => void): Uint8Array | undefined {
  const reader = new TcpRulesReader(({ keys, data }) => {
    for (const key of keys) add(key, data);
  });
  const buffer = new Uint8Array(CHUNK_BYTES);
  for (;;) {
    const count = insist(['read input'], () => readStandardInput(buffer));
    const bad = count === 0 ? reader.receiveEnd() : reader.receive(buffer.subarray(0, count));
    if (bad !== undefined || count === 0) return bad;
  }
}
