import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { type DsnRecipient, formatDsnFields } from './dsn-fields.ts';

const MESSAGE = { host: bytesOf('mx.example'), arrivalMs: 0, id: 1 };
const RECIPIENT: DsnRecipient = {
  address: bytesOf('a@b'),
  action: 'failed',
  status: '5.0.0',
  words: '',
  isReply: false,
};

for (const [host, field] of [
  ['192.0.2.1', 'dns; [192.0.2.1]'],
  ['2001:db8::1', 'dns; [IPv6:2001:db8::1]'],
  ['/run/lmtp', 'x-unix; /run/lmtp'],
  ['mx1.example', 'dns; mx1.example'],
] as const) {
  test(`formatDsnFields() names the host ${host}`, () =>
    assert.match(
      textOf(formatDsnFields(MESSAGE, [{ ...RECIPIENT, host }])),
      new RegExp(`\nRemote-MTA: ${field.replace(/[[\]]/g, '\\$&')}\n$`),
    ));
}

test('formatDsnFields() quotes an address that needs it, and leaves out what is not known', () => {
  const text = textOf(formatDsnFields(MESSAGE, [{ ...RECIPIENT, address: bytesOf('a b@c') }]));
  assert.equal(
    text,
    `Reporting-MTA: dns; mx.example
Arrival-Date: 1 Jan 1970 00:00:00 -0000
X-Qmail-Queue-Id: 1

Final-Recipient: rfc822; "a b"@c
Action: failed
Status: 5.0.0
`,
  );
});
