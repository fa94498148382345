// Elements written and read; the bytes in the tables were made by hand from X.690.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DER_TAG,
  encodeDer,
  encodeDerBits,
  encodeDerInteger,
  encodeDerOid,
  encodeDerTagged,
  readDer,
  readDerAll,
} from './der.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'hex'));

test('elements are written in their one form', () => {
  const rows: [Uint8Array, string][] = [
    [encodeDer(DER_TAG.null), '0500'],
    [encodeDer(DER_TAG.sequence, bytes('0500'), bytes('0101ff')), '300505000101ff'],
    [encodeDerTagged(3, bytes('0500')), 'a3020500'],
    [encodeDerInteger(bytes('00')), '020100'],
    [encodeDerInteger(bytes('')), '020100'],
    [encodeDerInteger(bytes('7f')), '02017f'],
    [encodeDerInteger(bytes('80')), '02020080'],
    [encodeDerInteger(bytes('000001')), '020101'],
    [encodeDerBits(bytes('a5')), '030200a5'],
    [encodeDerOid('2.5.4.3'), '0603550403'],
    [encodeDerOid('1.2.840.113549.1.1.11'), '06092a864886f70d01010b'],
    [encodeDerOid('1.3.101.112'), '06032b6570'],
  ];
  for (const [element, want] of rows) assert.equal(hex(element), want);
});

test('lengths of all sizes are written and read again', () => {
  for (const [size, head] of [
    [0, '0400'],
    [127, '047f'],
    [128, '048180'],
    [255, '0481ff'],
    [256, '04820100'],
    [65_536, '0483010000'],
  ] as const) {
    const element = encodeDer(DER_TAG.octetString, new Uint8Array(size));
    assert.equal(hex(element.subarray(0, head.length / 2)), head);
    const read = readDer(element);
    assert.deepEqual([read?.tag, read?.content.length, read?.bytes.length], [4, size, element.length]);
  }
});

test('readDer() refuses what is cut, too long, or not in the shortest form', () => {
  const rows = [
    '',
    '30',
    '3001',
    '0481',
    '048100',
    '04817f',
    '0482007f80',
    '0480',
    '0484000000010a',
    '0485',
    '1f8101',
  ];
  for (const text of rows) assert.equal(readDer(bytes(text)), undefined, text);
});

test('readDerAll() gives all elements, or nothing when something else is among them', () => {
  assert.deepEqual(readDerAll(bytes(''))?.length, 0);
  assert.deepEqual(
    readDerAll(bytes('05000101ff'))?.map((element) => hex(element.bytes)),
    ['0500', '0101ff'],
  );
  for (const text of ['050001', '05000101', 'ff']) assert.equal(readDerAll(bytes(text)), undefined, text);
});
