// tcpserver as a process: what the original did, and the faults that it has to survive.

import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ROOT } from '../support/client-vectors.ts';
import { asksIdent, cannotRun, readTcpserverCases, runTcpserverCase } from '../support/tcpserver-vectors.ts';

const PROGRAM = join(ROOT, 'bin/tcpserver');
// This process may have been given descriptors that all its children have too, so that case is in tcpserver-faults.test.ts.
const cases = readTcpserverCases().filter(({ name }) => name !== 'descriptors');

for (const isAlone of [false, true]) {
  const group = cases.filter((vector) => asksIdent(vector) === isAlone);
  describe(`tcpserver ${isAlone ? 'with' : 'without'} ident`, { concurrency: isAlone ? 1 : 4 }, () => {
    for (const [index, vector] of group.entries()) {
      test(vector.name, { skip: cannotRun(vector) }, () =>
        runTcpserverCase(vector, { program: PROGRAM, dnsHost: `127.7.${isAlone ? 8 : 7}.${index + 1}` }),
      );
    }
  });
}
