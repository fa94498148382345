import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { readBlocking, writeBlocking } from './blocking-io.ts';
import { SystemError } from './system-error.ts';

const SOURCE = join(dirname(fileURLToPath(import.meta.url)), 'blocking-io.ts');

test('readBlocking() and writeBlocking() wait on descriptors that do not block', async () => {
  // Descriptors 3 and 4 of a Node child stay non-blocking; a megabyte does not fit into either.
  const program = `import(${JSON.stringify(SOURCE)}).then(({ readBlocking, writeBlocking }) => {
    const buffer = new Uint8Array(65536);
    for (let count; (count = readBlocking(3, buffer)) > 0; ) writeBlocking(4, buffer.subarray(0, count));
  })`;
  const child = spawn(process.execPath, ['-e', program], {
    stdio: ['ignore', 'inherit', 'inherit', 'pipe', 'pipe'],
  });
  const input = child.stdio[3] as NodeJS.WritableStream;
  const output = child.stdio[4] as NodeJS.ReadableStream;
  const message = Buffer.alloc(1000000, 'message ');
  const echoed: Buffer[] = [];
  output.on('data', (chunk: Buffer) => echoed.push(chunk));
  input.write(message.subarray(0, 10));
  // The rest is sent when the child has shown that it read the beginning.
  await once(output, 'data');
  input.end(message.subarray(10));
  await once(child, 'close');
  assert.equal(child.exitCode, 0);
  assert.ok(Buffer.concat(echoed).equals(message));
});

test('readBlocking() gives 0 at the end and throws for what cannot be read', () => {
  const buffer = new Uint8Array(10);
  const empty = openSync('/dev/null', 'r');
  assert.equal(readBlocking(empty, buffer), 0);
  closeSync(empty);
  const folder = openSync(tmpdir(), 'r');
  assert.throws(() => readBlocking(folder, buffer), SystemError);
  closeSync(folder);
});

test('writeBlocking() writes all, and throws for a full device', () => {
  const folder = mkdtempSync(join(tmpdir(), 'blocking-'));
  const file = openSync(join(folder, 'x'), 'w');
  writeBlocking(file, Buffer.from('abc'));
  closeSync(file);
  assert.equal(readFileSync(join(folder, 'x'), 'latin1'), 'abc');
  rmSync(folder, { recursive: true });
  const full = openSync('/dev/full', 'w');
  assert.throws(() => writeBlocking(full, Buffer.from('abc')), /write descriptor \d+/);
  closeSync(full);
});
