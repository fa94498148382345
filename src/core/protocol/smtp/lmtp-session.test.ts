// What the server session does in LMTP, and with requests for notifications, in each of both protocols.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answers, converse, settingsOf } from '../../../../test/support/smtp-conversation.ts';
import { bytesOf } from '../../bytes/bytes.ts';
import { withCodeInFront } from './replies.ts';
import type { SmtpServerSettings } from './server-session.ts';

const LMTP = { isLmtp: true, offersDsn: true };

/** Says these lines at once, byte by byte, and in every two parts; what was heard, which must be the same. */
function talk(lines: readonly string[], more: Partial<SmtpServerSettings>, answers: Answers = {}) {
  const bytes = bytesOf(lines.map((line) => `${line}\r\n`).join(''));
  const settings = settingsOf({}, more);
  const heard = converse([bytes], settings, answers);
  const single = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
  assert.deepEqual(converse(single, settings, answers), heard);
  for (let at = 1; at < bytes.length; at++)
    assert.deepEqual(converse([bytes.subarray(0, at), bytes.subarray(at)], settings, answers), heard);
  return heard;
}

const TRANSACTION = ['LHLO app', 'MAIL FROM:<s@a>', 'RCPT TO:<a@b>', 'RCPT TO:<c@d>', 'DATA'];

test('LMTP greets with LHLO alone and has the enhanced codes in front', () => {
  const { replies } = talk(['EHLO x', 'HELO x', 'LHLO app', 'NOOP', 'VRFY x', 'what', 'QUIT'], LMTP);
  assert.deepEqual(replies, [
    '500 5.5.1 this is LMTP, say LHLO',
    '500 5.5.1 this is LMTP, say LHLO',
    '250-mx.example',
    '250-PIPELINING',
    '250-ENHANCEDSTATUSCODES',
    '250-DSN',
    '250 8BITMIME',
    '250 2.0.0 ok',
    "252 2.0.0 send some mail, i'll try my best",
    '502 5.5.1 unimplemented',
    '221 2.0.0 mx.example',
  ]);
});

test('LHLO is unknown in SMTP', () => {
  assert.deepEqual(talk(['LHLO app'], {}).replies, ['502 unimplemented (#5.5.1)']);
});

test('LMTP answers for each recipient that was accepted, and SMTP once', () => {
  const toEnd = { code: 451, text: 'disk full (#4.3.0)' };
  const heard = talk([...TRANSACTION, 'text', '.', 'NOOP'], LMTP, { toEnd });
  assert.deepEqual(heard.replies.slice(-4), [
    '354 go ahead',
    '451 4.3.0 disk full',
    '451 4.3.0 disk full',
    '250 2.0.0 ok',
  ]);
  assert.deepEqual(heard.messages, [
    { text: 'LMTP app|text\n', envelope: 'Fs@a\0Ta@b\0Tc@d\0\0', isRefused: false },
  ]);
  const smtp = talk([...TRANSACTION, 'text', '.'], {}, { toEnd });
  assert.deepEqual(smtp.replies.slice(-2), ['354 go ahead', '451 disk full (#4.3.0)']);
});

test('LMTP refuses a message that is too large for each recipient, and DATA without any once', () => {
  const heard = talk([...TRANSACTION, 'text', '.'], { ...LMTP, sizeMax: 2 });
  const tooLarge = '552 5.3.4 sorry, that message size exceeds my databytes limit';
  assert.deepEqual(heard.replies.slice(-2), [tooLarge, tooLarge]);
  const none = talk(['LHLO app', 'MAIL FROM:<s@a>', 'DATA'], LMTP);
  assert.deepEqual(none.replies.slice(-1), ['503 5.5.1 RCPT first']);
});

test('requests for notifications go with the message, and not with the next one', () => {
  const { messages, replies } = talk(
    [
      'EHLO app',
      'MAIL FROM:<s@a> RET=HDRS ENVID=e1',
      'RCPT TO:<a@b>',
      'RCPT TO:<c@d> NOTIFY=SUCCESS ORCPT=rfc822;C@d',
      'RCPT TO:<x@d> NOTIFY=OFTEN',
      'DATA',
      '.',
      'MAIL FROM:<s@a>',
      'RCPT TO:<a@b>',
      'DATA',
      '.',
    ],
    { offersDsn: true },
  );
  assert.ok(replies.includes('250-DSN'));
  assert.ok(replies.includes('501 syntax error in a parameter (#5.5.4)'));
  const asked = { notify: 1, orcpt: 'rfc822;C@d' };
  assert.deepEqual(messages[0]?.dsn?.message, { ret: 'hdrs', envid: 'e1' });
  assert.deepEqual(
    [0, 1].map((at) => messages[0]?.dsn?.recipients[at]),
    [undefined, asked],
  );
  assert.equal(messages[1]?.dsn, undefined);
});

test('a server that does not offer notifications ignores requests for them', () => {
  const lines = ['MAIL FROM:<s@a> RET=NONE', 'RCPT TO:<a@b> NOTIFY=OFTEN', 'DATA', '.'];
  assert.deepEqual(talk(lines, {}).messages, [
    { text: 'SMTP undefined|', envelope: 'Fs@a\0Ta@b\0\0', isRefused: false },
  ]);
});

test('a reply has one enhanced code in front, and none where there is none', () => {
  const texts = [
    [220, 'x LMTP'],
    [354, 'go'],
    [250, 'ok'],
    [550, 'no (#5.1.1)'],
    [451, 'see (this) now'],
  ] as const;
  assert.deepEqual(
    texts.map(([code, text]) => withCodeInFront({ code, text }).text),
    ['x LMTP', 'go', '2.0.0 ok', '5.1.1 no', '4.0.0 see (this) now'],
  );
});
