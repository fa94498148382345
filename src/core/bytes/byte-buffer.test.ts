import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteBuffer } from './byte-buffer.ts';
import { bytesOf, textOf } from './bytes.ts';

test('ByteBuffer keeps everything in order while it grows, from any capacity', () => {
  for (const capacity of [0, 1, 7, 256]) {
    const buffer = new ByteBuffer(capacity);
    let want = '';
    for (let i = 0; i < 300; i++) {
      buffer.appendByte(i % 256);
      buffer.append(bytesOf('xyz'));
      buffer.appendText('\xff\0t');
      want += `${String.fromCharCode(i % 256)}xyz\xff\0t`;
    }
    assert.equal(buffer.length, want.length);
    assert.equal(textOf(buffer.view()), want);
    assert.equal(textOf(buffer.toBytes()), want);
  }
});

test('ByteBuffer copies what it is given, and toBytes() is a copy too', () => {
  const buffer = new ByteBuffer();
  const given = bytesOf('ab');
  buffer.append(given);
  given[0] = 0;
  const taken = buffer.toBytes();
  buffer.clear();
  buffer.appendText('zz');
  assert.equal(textOf(taken), 'ab');
});

test('ByteBuffer grows when one append is longer than the double of what it has', () => {
  const buffer = new ByteBuffer(2);
  buffer.append(new Uint8Array(1000).fill(120));
  assert.equal(textOf(buffer.view()), 'x'.repeat(1000));
});

test('ByteBuffer can append a view of itself', () => {
  const buffer = new ByteBuffer(3);
  buffer.appendText('abc');
  buffer.append(buffer.view());
  assert.equal(textOf(buffer.view()), 'abcabc');
});

test('clear() forgets the content', () => {
  const buffer = new ByteBuffer();
  buffer.appendText('abc');
  buffer.clear();
  assert.deepEqual([buffer.length, buffer.view().length, buffer.toBytes().length], [0, 0, 0]);
});
