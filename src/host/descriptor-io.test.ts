import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { streamInput, streamOutput } from './descriptor-io.ts';

test('streamInput() gives what comes, then undefined for ever', async () => {
  const stream = new PassThrough();
  const input = streamInput(stream);
  const first = input.read();
  stream.write('one');
  assert.equal(String(await first), 'one');
  stream.end('two');
  assert.equal(String(await input.read()), 'two');
  assert.equal(await input.read(), undefined);
  assert.equal(await input.read(), undefined);
});

test('streamInput() takes an error for the end', async () => {
  const stream = new PassThrough();
  const input = streamInput(stream);
  const read = input.read();
  stream.destroy(new Error('reset'));
  assert.equal(await read, undefined);
});

test('streamInput() reads no more than was asked for and one buffer ahead', async () => {
  const stream = new PassThrough({ highWaterMark: 4 });
  const input = streamInput(stream);
  stream.write('abcd');
  assert.equal(stream.write('efgh'), false);
  assert.equal(String(await input.read()).slice(0, 4), 'abcd');
});

test('streamOutput() tells whether the bytes were taken', async () => {
  const stream = new PassThrough();
  const output = streamOutput(stream);
  assert.equal(await output.write([Buffer.from('a'), Buffer.from('b')]), true);
  assert.equal(String(stream.read()), 'ab');
  stream.destroy();
  assert.equal(await output.write([Buffer.from('c')]), false);
});
