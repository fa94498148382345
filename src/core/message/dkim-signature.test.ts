import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { canonicalFields } from './dkim-canonical.ts';
import { formatSigned, formatUnsigned, fromDomains, SIGNED_FIELDS, selectFields } from './dkim-signature.ts';

const fieldsOf = (header: string) => canonicalFields(bytesOf(header));

test('the domain is that of the addresses in From, however they are written', () => {
  const rows: [string, string[]][] = [
    ['From: a@B.example\r\n', ['b.example']],
    ['From: "x@y" <a@b.example> (c@d)\r\n', ['b.example']],
    ['From: a@b.example,\r\n C <c@d.example>\r\n', ['b.example', 'd.example']],
    ['From: g: a@b.example;\r\nfrom: x@z.example\r\n', ['b.example', 'z.example']],
    ['Sender: a@b.example\r\n', []],
    ['From: nobody\r\n', []],
    ['From: <a@b.example\r\n', ['b.example']],
    ['From: (a@b.example\r\n', []],
    ['From:\r\n', []],
  ];
  for (const [header, domains] of rows) assert.deepEqual(fromDomains(fieldsOf(header)), domains, header);
});

test('wanted fields are listed as often as they occur, last one first, and From once more', () => {
  const fields = fieldsOf('Received: r\r\nTo: a\r\nFrom: f\r\nList-Id: l\r\nTo: b\r\nX: y\r\nListen: n\r\n');
  const { names, canonical } = selectFields(fields, SIGNED_FIELDS);
  assert.deepEqual(names, ['to', 'list-id', 'from', 'to', 'from']);
  assert.equal(textOf(canonical), 'to:b\r\nlist-id:l\r\nfrom:f\r\nto:a\r\n');
  assert.deepEqual(selectFields(fields, ['x']).names, ['x', 'from', 'from']);
});

test('From is signed however many other fields there are', () => {
  const { names } = selectFields(fieldsOf(`From: a\r\n${'To: b\r\n'.repeat(5000)}`), SIGNED_FIELDS);
  assert.equal(names.length, 302);
  assert.deepEqual(names.slice(-2), ['from', 'from']);
});

test('the field is folded so that no line is long', () => {
  const unsigned = formatUnsigned({
    algorithm: 'rsa-sha256',
    domain: 'a.example',
    selector: 's1',
    nowSeconds: 1_700_000_000,
    names: Array.from({ length: 40 }, (_, i) => `list-${i}`),
    bodyHash: 'x'.repeat(44),
  });
  const lines = textOf(formatSigned(unsigned, 'y'.repeat(684))).split('\r\n');
  assert.equal(lines[0], 'DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;');
  assert.equal(lines.pop(), '');
  for (const line of lines) assert.ok(line.length <= 78, line);
  for (const line of lines.slice(1)) assert.match(line, /^ \S/);
});
