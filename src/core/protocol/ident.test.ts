import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { encodeIdentQuery, IdentReply } from './ident.ts';

test('encodeIdentQuery() names the ports as the ident server sees them', () => {
  assert.equal(textOf(encodeIdentQuery({ remote: 4711, local: 25 })), '4711 , 25\r\n');
});

test('IdentReply takes what is behind the third colon, fed in any pieces', () => {
  const rows: [string, string | undefined][] = [
    ['1,2:USERID:UNIX: jo e\r\n', 'joe'],
    ['1,2:USERID:UNIX:a:b:c\n', 'a:b:c'],
    ['1 , 2 : ERROR : NO-USER\r\n', ''],
    ['garbage\r\n', ''],
    ['1,2:USERID:UNIX:joe\nmore:of:it:x', 'joe'],
    ['1,2:USERID:UNIX:joe', undefined],
    ['', undefined],
    [`::: ${'u'.repeat(255)}`, undefined],
    [`::: ${'u'.repeat(256)}\n`, 'u'.repeat(256)],
    [`::: ${'u'.repeat(300)}`, 'u'.repeat(257)],
  ];
  for (const [reply, want] of rows) {
    for (let at = 0; at <= reply.length; at++) {
      const parser = new IdentReply();
      parser.receive(bytesOf(reply.slice(0, at)));
      parser.receive(bytesOf(reply.slice(at)));
      assert.equal(parser.info && textOf(parser.info), want, reply);
    }
  }
});
