// sendmail as a process, against what the original does: test/vectors/sendmail.json. Its qmail-inject runs in the same
// process when it is ours, and is another program when it is a foreign file: the results must be the same.

import { describe, it } from 'node:test';
import { checkCase, type Installation, readClientCases } from '../support/client-vectors.ts';

const INSTALLATIONS: [Installation, string][] = [
  ['links', 'with qmail-inject in its own process'],
  ['scripts', 'with a foreign qmail-inject'],
];

for (const [installation, how] of INSTALLATIONS) {
  describe(`sendmail does what the original does ${how}`, { concurrency: 2 }, () => {
    for (const vector of readClientCases('sendmail')) {
      // Cases with recorders in place of the programs have nothing that could be ours.
      if (installation === 'scripts' && vector.bin !== undefined) continue;
      it(`${vector.id} ${vector.title}`, () => checkCase(vector, installation));
    }
  });
}
