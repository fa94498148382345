import assert from 'node:assert/strict';
import { isUtf8 as nodeSaysUtf8 } from 'node:buffer';
import { test } from 'node:test';
import { hasHighByte, isUtf8 } from './utf8.ts';

test('isUtf8() agrees with Node on every sequence of two bytes, and of three and four that matter', () => {
  const edges = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0];
  const firsts = [...edges, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff];
  const check = (...bytes: number[]) =>
    assert.equal(isUtf8(Uint8Array.from(bytes)), nodeSaysUtf8(Uint8Array.from(bytes)), String(bytes));
  for (let a = 0; a < 256; a++) {
    check(a);
    for (let b = 0; b < 256; b++) check(a, b);
  }
  for (const a of firsts) {
    for (const b of edges) {
      for (const c of edges) {
        check(a, b, c);
        for (const d of edges) check(a, b, c, d);
      }
    }
  }
});

test('hasHighByte() sees one anywhere', () => {
  assert.equal(hasHighByte(Uint8Array.of(0, 127)), false);
  assert.equal(hasHighByte(Uint8Array.of(0, 128)), true);
  assert.equal(hasHighByte(new Uint8Array(0)), false);
});
