import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { formatRecord, formatRecordEnd } from './recordio-log.ts';

const lines = (text: string) => formatRecord(7, '<', bytesOf(text)).map(textOf);

test('formatRecord() makes a line of each line, and marks what has no end', () => {
  assert.deepEqual(lines(''), []);
  assert.deepEqual(lines('a\n\nb'), ['7 < a \n', '7 <  \n', '7 < b+\n']);
  assert.deepEqual(lines('\r\0\xe9\n'), ['7 < \r\0\xe9 \n']);
});

test('formatRecord() looks at 256 bytes at a time', () => {
  assert.deepEqual(lines(`${'x'.repeat(256)}y\n`), [`7 < ${'x'.repeat(256)}+\n`, '7 < y \n']);
  assert.deepEqual(lines(`${'x'.repeat(255)}\ny`), [`7 < ${'x'.repeat(255)} \n`, '7 < y+\n']);
});

test('formatRecordEnd() tells whose end it is', () => {
  assert.equal(textOf(formatRecordEnd(7, '>')), '7 > [EOF]\n');
});
