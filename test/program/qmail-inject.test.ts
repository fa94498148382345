// qmail-inject as a process, against what the original does: test/vectors/qmail-inject.json.

import { describe, it } from 'node:test';
import { checkCase, readClientCases } from '../support/client-vectors.ts';

describe('qmail-inject does what the original does', { concurrency: 2 }, () => {
  for (const vector of readClientCases('qmail-inject')) {
    it(`${vector.id} ${vector.title}`, () => checkCase(vector));
  }
});
