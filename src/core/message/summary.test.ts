import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { fieldContent, printable } from './summary.ts';

test('fieldContent() skips blanks and folding after the colon, and keeps the end', () => {
  assert.equal(textOf(fieldContent(bytesOf('Subject: \t\r\n a b\n c\n'))), 'a b\n c\n');
  assert.equal(textOf(fieldContent(bytesOf('Subject :x:y\n'))), 'x:y\n');
  assert.equal(textOf(fieldContent(bytesOf('Subject: \n'))), '');
});

test('printable() replaces what could steer a terminal', () => {
  assert.equal(textOf(printable(bytesOf('a\x1b[m\n\x7f\xff ~'), '/')), 'a/[m/// ~');
});
