import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

const MODULE = JSON.stringify(new URL('./stderr-log.ts', import.meta.url).href);
const OPEN = `const { log, flush } = (await import(${MODULE})).openStderrLog();`;

function program(body: string): string[] {
  return ['--input-type=module', '-e', `${OPEN} ${body}`];
}

test('lines come out in order at the end of the turn, without a flush', () => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    program("log.write('one', {}); log.write('two', { a: 1 }); process.stdout.write('turn ');"),
    { encoding: 'latin1' },
  );
  assert.deepEqual([status, stdout, stderr], [0, 'turn ', 'one\ntwo a=1\n']);
});

test('flush() writes what waits before the process ends, each line once', () => {
  const { stderr } = spawnSync(
    process.execPath,
    program("log.write('one', {}); flush(); flush(); log.write('two', {}); flush(); process.exit(0);"),
    { encoding: 'latin1' },
  );
  assert.equal(stderr, 'one\ntwo\n');
});

test('a slow reader gets every line', async () => {
  const body = "for (let i = 0; i < 20000; i++) log.write('line', { i, text: 'x'.repeat(20) });";
  const child = spawn(process.execPath, program(body), { stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  // Nothing is read until the pipe is full and the process waits for it.
  await new Promise((resolve) => child.stderr.once('readable', resolve));
  child.stderr.setEncoding('latin1').on('data', (more: string) => {
    text += more;
  });
  const [status] = await once(child, 'close');
  const lines = text.split('\n');
  assert.deepEqual([status, lines.length, lines[19_999]], [0, 20_001, `line i=19999 text=${'x'.repeat(20)}`]);
});

test('a reader that has gone stops nothing', async () => {
  const body =
    "process.stdin.once('end', () => { log.write('one', {}); flush(); process.stdout.write('on'); }).resume();";
  const child = spawn(process.execPath, program(body), { stdio: ['pipe', 'pipe', 'pipe'] });
  const closed = once(child.stderr, 'close');
  child.stderr.destroy();
  await closed;
  let printed = '';
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    printed += text;
  });
  child.stdin.end();
  const [status] = await once(child, 'close');
  assert.deepEqual([status, printed], [0, 'on']);
});
