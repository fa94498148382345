import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../bytes/bytes.ts';
import { encodeMailboxPart, formatMessageName, mailboxPath } from './maildir-name.ts';

for (const [address, path] of [
  ['Joe@Example.ORG', 'example.org/Joe'],
  ['joe-x+y=z@h', 'h/joe-x+y=z'],
  ['@h', 'h/%'],
  ['joe@', '%/joe'],
  ['a@b@h', 'h/a@b'],
  ['../../etc/passwd@h', 'h/%2E.%2F..%2Fetc%2Fpasswd'],
  ['joe@../..', '%2E.%2F../joe'],
  ['..@.', '%2E/%2E.'],
  ['.hidden@.h', '%2Eh/%2Ehidden'],
  ['a.b@h', 'h/a.b'],
  ['50%@h', 'h/50%25'],
  ['a\0\n\x7f\xe9 b@h', 'h/a%00%0A%7F%E9 b'],
  ['joe', undefined],
] as const) {
  test(`mailboxPath() of ${JSON.stringify(address)} is ${path}`, () => {
    assert.equal(mailboxPath(bytesOf(address)), path);
  });
}

test('encodeMailboxPart() gives different parts different names', () => {
  const parts = ['', '%', '%25', '.', '%2E', '..', '%2E.', '/', '%2F', '\0', 'a', 'A', ' ', '%20'];
  assert.equal(new Set(parts.map((part) => encodeMailboxPart(bytesOf(part)))).size, parts.length);
});

test('encodeMailboxPart() has no name for a part that is too long', () => {
  assert.equal(encodeMailboxPart(bytesOf('x'.repeat(200)))?.length, 200);
  assert.equal(encodeMailboxPart(bytesOf('x'.repeat(201))), undefined);
  assert.equal(encodeMailboxPart(bytesOf('/'.repeat(67))), undefined);
});

test('formatMessageName() puts time, message, recipient and host together', () => {
  const name = formatMessageName({ birthMs: 1_700_000_000_999, message: 7, recipient: 3 }, 'a/b:c');
  assert.equal(name, '1700000000.M999000Q7R3.a\\057b\\072c');
});
