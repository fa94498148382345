import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const SOURCE = join(dirname(fileURLToPath(import.meta.url)), 'closed-descriptor.ts');
const PROBE = `import(${JSON.stringify(SOURCE)}).then((m) => process.exitCode = m.isClosedAtStart(Number(process.argv[1])) ? 1 : 0)`;

function probe(descriptor: number, redirection: string): number | null {
  const line = `exec "$0" -e "$1" ${descriptor} ${redirection}`;
  return spawnSync('/bin/sh', ['-c', line, process.execPath, PROBE], { stdio: 'ignore' }).status;
}

const CASES: [number, string, boolean][] = [
  [0, '<&-', true],
  [1, '>&-', true],
  [0, '</dev/null', false],
  [1, '</dev/null >/dev/null', false],
  [0, '</', false],
  [0, '</dev/zero', false],
];

for (const [descriptor, redirection, closed] of CASES) {
  const verdict = closed ? 'recognises' : 'does not take for closed';
  test(`isClosedAtStart() ${verdict} descriptor ${descriptor} after ${redirection}`, () => {
    assert.equal(probe(descriptor, redirection), closed ? 1 : 0);
  });
}
