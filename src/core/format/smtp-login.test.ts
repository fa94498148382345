import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../bytes/bytes.ts';
import { parseSmtpLogins } from './smtp-login.ts';

const parse = (...lines: string[]) => parseSmtpLogins(lines.map(bytesOf));

test('parseSmtpLogins() reads relay, user and password or its file', () => {
  assert.deepEqual(
    parse('Relay.example:587 User@a  s3cret=', 'b\tu\t@/etc/secret', '127.0.0.1:2525 u p clear'),
    [
      { relay: 'relay.example:587', user: 'User@a', secret: { password: 's3cret=' }, inClear: false },
      { relay: 'b', user: 'u', secret: { path: '/etc/secret' }, inClear: false },
      { relay: '127.0.0.1:2525', user: 'u', secret: { password: 'p' }, inClear: true },
    ],
  );
});

test('parseSmtpLogins() names the entry that is wrong, and nothing that stands in it', () => {
  for (const line of [
    'hidden',
    'hidden hidden',
    'hidden h h Clear',
    'hidden h h clear h',
    'h h @',
    'h h hid\0den',
  ]) {
    const told = parse('a b c', line);
    assert.ok(typeof told === 'string', line);
    assert.match(told, /^entry 2 /);
    assert.doesNotMatch(told, /hid/);
  }
});
