// Tests that JSON gives back the bytes that went in.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jsonBytes } from './json-bytes.ts';

function bytesBack(json: string): Uint8Array {
  const value = JSON.parse(json) as string | { base64: string };
  return Buffer.from(...((typeof value === 'string' ? [value] : [value.base64, 'base64']) as [string]));
}

test('jsonBytes() is text for UTF-8 and base64 for other bytes', () => {
  assert.equal(jsonBytes(Buffer.from('jörg\0')), 'jörg\0');
  assert.deepEqual(jsonBytes(Buffer.from('j\xf6rg', 'latin1')), { base64: 'avZyZw==' });
});

test('jsonBytes() loses nothing', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      assert.deepEqual([...bytesBack(JSON.stringify(jsonBytes(bytes)))], [...bytes]);
    }),
  );
});
