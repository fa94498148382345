// recordio as a process: what it logs, and how it ends.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../support/client-vectors.ts';
import { ended } from '../support/server-vectors.ts';

function start(args: readonly string[], env = {}) {
  return spawn(join(ROOT, 'bin/recordio'), args, { env: { PATH: '/usr/bin:/bin', ...env } });
}

async function run(args: readonly string[], input = '', env = {}) {
  const child = start(args, env);
  child.stdin.on('error', () => {});
  child.stdin.end(input, 'latin1');
  const { exit, stdout, stderr } = await ended(child);
  return { exit, stdout, log: stderr.replaceAll(`${child.pid} `, 'PID ') };
}

test('everything goes through unchanged, with a line for each line', async () => {
  const { exit, stdout, log } = await run(['cat'], 'a\r\n\0\xe9');
  assert.deepEqual([exit, stdout], [0, 'a\r\n\0\xe9']);
  const lines = log.split('\n').sort();
  assert.deepEqual(lines.length, 7);
  assert.deepEqual(lines.slice(1, 4), ['PID < \0\xe9+', 'PID < [EOF]', 'PID < a\r ']);
  assert.deepEqual(lines.slice(4), ['PID > \0\xe9+', 'PID > [EOF]', 'PID > a\r ']);
});

test('the program sees its environment, and its exit code is that of recordio', async () => {
  const { exit, stdout } = await run(['sh', '-c', 'echo $A; exit 7'], '', { A: 'x' });
  assert.deepEqual([exit, stdout], [7, 'x\n']);
});

test('a megabyte goes both ways, though the program reads only when it has written', async () => {
  const text = 'All work and no play\n'.repeat(50_000);
  const { stdout } = await run(['sh', '-c', 'head -c 1000000 /dev/zero | tr "\\0" x; cat'], text);
  assert.ok(stdout === 'x'.repeat(1_000_000) + text);
});

test('a program that ends before it has read all ends recordio', async () => {
  const child = start(['true']);
  child.stdin.on('error', () => {});
  const { exit, stderr } = await ended(child);
  assert.deepEqual([exit, stderr], [0, `${child.pid} > [EOF]\n`]);
});

test('a signal that ends the program ends recordio, and SIGTERM goes to the program', async () => {
  const { exit } = await run(['sh', '-c', 'kill -KILL $$']);
  assert.equal(exit, null);
  const child = start(['sh', '-c', 'trap "echo caught; exit 3" TERM; echo ready; read x']);
  await once(child.stdout, 'data');
  child.kill('SIGTERM');
  const [caught] = await once(child.stdout, 'data');
  assert.equal(String(caught), 'caught\n');
  assert.equal((await ended(child)).exit, 3);
});

test('without a program, or without one that can be run, it says so', async () => {
  const usage = await run([]);
  assert.deepEqual([usage.exit, usage.log], [100, 'recordio: usage: recordio program [ arg ... ]\n']);
  for (const [program, why] of [
    ['/no/such/program', 'file does not exist'],
    ['no-such-program', 'file does not exist'],
    ['', 'file does not exist'],
    ['/', 'access denied'],
  ] as const) {
    const { exit, log } = await run([program]);
    assert.deepEqual([exit, log], [111, `recordio: fatal: unable to run ${program}: ${why}\n`]);
  }
});
