import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, concatBytes, textOf } from '../bytes/bytes.ts';
import { parseDomainMap } from '../format/domain-map.ts';
import { type BouncePlan, planBounce } from './bounce.ts';
import {
  type AskedFailure,
  formatDigest,
  formatFailureReport,
  formatNotification,
  selectWanted,
} from './bounce-report.ts';
import { EXPIRED } from './bounce-status.ts';
import { type MessageDsn, NOTIFY } from './notification.ts';
import { recipientReport } from './smtp-report.ts';

const SETTINGS = {
  controls: {
    bouncefrom: bytesOf('MAILER-DAEMON'),
    bouncehost: bytesOf('mx.example.org'),
    doublebounceto: bytesOf('postmaster'),
    doublebouncehost: bytesOf('mx.example.org'),
    virtualdomains: parseDomainMap([bytesOf('virt.example:joe')]),
  },
  nowMs: 1_767_582_245_000,
  token: '0123456789abcdef',
};
const MESSAGE = { id: 17, birthMs: 1_767_582_000_000, bytes: bytesOf('Subject: s\n\nhello\n') };
const REFUSED = recipientReport('192.0.2.1', 550, '550 5.1.1 no such user').text;

function plan(sender = 'joe@a.example'): BouncePlan {
  return planBounce(bytesOf(sender), SETTINGS.controls)!;
}

function report(
  failures: readonly AskedFailure[],
  dsn?: MessageDsn,
  bytes = MESSAGE.bytes,
  bytesMax = 100,
): string {
  const message = { ...MESSAGE, dsn, bytes };
  return textOf(concatBytes(formatFailureReport(plan(), failures, message, { ...SETTINGS, bytesMax })));
}

test('formatFailureReport() writes a report to the byte', () => {
  const dsn = { orcpt: 'rfc822;Ann+2BSales@far.example' };
  assert.equal(
    report([{ address: bytesOf('ann@far.example'), report: REFUSED, dsn }], { envid: 'QQ+2B314' }),
    `Date: 5 Jan 2026 03:04:05 -0000
From: MAILER-DAEMON@mx.example.org
To: joe@a.example
Subject: failure notice
Message-ID: <20260105030405.17.01234567@mx.example.org>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="=_report-0123456789abcdef"
Content-Transfer-Encoding: 7bit

--=_report-0123456789abcdef
Content-Type: text/plain; charset=us-ascii
Content-Transfer-Encoding: 7bit

Hi. This is the qmail-send program at mx.example.org.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<ann@far.example>:
192.0.2.1 does not like recipient.
Remote host said: 550 5.1.1 no such user
Giving up on 192.0.2.1.

--- Below this line is a copy of the message.


--=_report-0123456789abcdef
Content-Type: message/delivery-status
Content-Transfer-Encoding: 7bit

Reporting-MTA: dns; mx.example.org
Original-Envelope-Id: QQ+314
Arrival-Date: 5 Jan 2026 03:00:00 -0000
X-Qmail-Queue-Id: 17

Original-Recipient: rfc822; Ann+Sales@far.example
Final-Recipient: rfc822; ann@far.example
Action: failed
Status: 5.1.1
Remote-MTA: dns; [192.0.2.1]
Diagnostic-Code: smtp; 550 5.1.1 no such user

--=_report-0123456789abcdef
Content-Type: message/rfc822
Content-Transfer-Encoding: 7bit

Return-Path: <joe@a.example>
Subject: s

hello

--=_report-0123456789abcdef--
`,
  );
});

test('formatFailureReport() returns the header alone of a large message, or when that was asked for', () => {
  const failures = [{ address: bytesOf('ann@far.example'), report: 'gone\n' }];
  const large = bytesOf(`Subject: s\nX: y\n\n${'x'.repeat(100)}\n`);
  for (const text of [report(failures, undefined, large), report(failures, { ret: 'hdrs' })]) {
    assert.match(
      text,
      /\nContent-Type: text\/rfc822-headers\n.*\n\nReturn-Path: <joe@a\.example>\nSubject: s\n(X: y\n)?\n--=_/,
    );
    assert.ok(text.includes('\n--- Below this line is the header of the message.\n'));
  }
  assert.ok(report(failures, { ret: 'full' }, large).includes('text/rfc822-headers'));
  assert.ok(report(failures, { ret: 'full' }).includes('message/rfc822'));
});

test('formatFailureReport() says what an address beyond ASCII is in UTF-8', () => {
  const text = report([
    { address: bytesOf('j\xc3\xb6@far.example'), report: 'gone\n' },
    { address: bytesOf('ann@far.example'), report: 'gone\n', dsn: { orcpt: 'utf-8;\xc3\xa9@x' } },
  ]);
  assert.ok(text.includes('report-type=global-delivery-status;'));
  assert.ok(text.includes('\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n'));
  assert.ok(
    text.includes('\nContent-Type: message/global-delivery-status\nContent-Transfer-Encoding: 8bit\n'),
  );
  assert.ok(text.includes('\nFinal-Recipient: utf-8; j\xc3\xb6@far.example\n'));
  assert.ok(
    text.includes('\nOriginal-Recipient: utf-8; \xc3\xa9@x\nFinal-Recipient: rfc822; ann@far.example\n'),
  );
  assert.ok(text.includes('\nContent-Type: message/global\n'));
});

test('formatFailureReport() shows bytes that are no text in any known way as such', () => {
  const text = report([{ address: bytesOf('j\xf6@far.example'), report: 'gone\n' }]);
  assert.ok(text.includes('report-type=delivery-status;'));
  assert.ok(text.includes('\nContent-Type: text/plain; charset=unknown-8bit\n'));
  assert.ok(text.includes('\nFinal-Recipient: rfc822; "j?"@far.example\n'));
});

test('formatFailureReport() puts words of several lines into one field, and cuts them off', () => {
  const text = report([
    { address: bytesOf('joe-x@virt.example'), report: 'one\n\tX-Evil: y\r\n\nAction: delivered\n' },
    { address: bytesOf('b@c'), report: 'y '.repeat(2000) },
  ]);
  assert.ok(text.includes('\nFinal-Recipient: rfc822; x@virt.example\n'));
  assert.ok(text.includes('\nDiagnostic-Code: x-qmail; one X-Evil: y Action: delivered\n'));
  assert.ok(text.split('\n').every((line) => line.startsWith('y y') || line.length < 1000));
});

test('selectWanted() leaves out whom the sender did not want to know of', () => {
  const failures = [undefined, 0, NOTIFY.success, NOTIFY.delay | NOTIFY.failure].map((notify) => ({
    ...{ address: bytesOf('x'), report: '', dsn: notify === undefined ? undefined : { notify } },
  }));
  assert.deepEqual(selectWanted(failures), [failures[0], failures[3]]);
});

test('formatNotification() tells of a delay, with the header, in words that are not those of a failure', () => {
  const notifications = [
    { address: bytesOf('ann@far.example'), report: 'busy (#4.2.0)\n', action: 'delayed' } as const,
  ];
  const settings = { ...SETTINGS, untilMs: 1_768_000_000_000 };
  const text = textOf(concatBytes(formatNotification(plan(), notifications, MESSAGE, settings)));
  assert.match(
    text,
    /\nSubject: delay notice\n.*\n\nThis is the mail server at mx\.example\.org\.\n.*tried until 9 Jan 2026 23:06:40 -0000\.\n\n<ann@far\.example>:\nbusy/s,
  );
  assert.match(
    text,
    /\nAction: delayed\nStatus: 4\.2\.0\nDiagnostic-Code: x-qmail; busy \(#4\.2\.0\)\nWill-Retry-Until: 9 Jan 2026 23:06:40 -0000\n/,
  );
  assert.match(text, /text\/rfc822-headers\n.*\n\nReturn-Path: <joe@a\.example>\nSubject: s\n\n--=_/);
  assert.doesNotMatch(text, /Hi\. This is the|hello/);
});

test('formatNotification() tells what was delivered and what was relayed apart', () => {
  const text = textOf(
    concatBytes(
      formatNotification(
        plan('list-@a.example-@[]'),
        [
          { address: bytesOf('ann@here'), report: 'did 1+0+0\n', action: 'delivered' },
          {
            address: bytesOf('bob@far'),
            report: '192.0.2.1 accepted message.\nRemote host said: 250 ok\n',
            action: 'relayed',
          },
        ],
        MESSAGE,
        { ...SETTINGS, untilMs: 0 },
      ),
    ),
  );
  assert.match(text, /\nTo: list-@a\.example\nSubject: success notice\n/);
  assert.match(
    text,
    /delivered to the following addresses\.\n\n<ann@here>:.*report deliveries, for the following addresses\.\n\n<bob@far>:/s,
  );
  assert.match(
    text,
    /<?ann@here\nAction: delivered\nStatus: 2\.0\.0\n.*bob@far\nAction: relayed\nStatus: 2\.0\.0\nRemote-MTA: dns; \[192\.0\.2\.1\]\nDiagnostic-Code: smtp; 250 ok\n/s,
  );
  assert.doesNotMatch(text, /Will-Retry-Until/);
});

test('formatDigest() tells of several messages, and of EXPIRED ones, in paragraphs of their own', () => {
  const entries = [
    {
      ...MESSAGE,
      messageId: bytesOf('<1@a>'),
      failures: [{ address: bytesOf('x@y'), report: `later\n${EXPIRED}` }],
    },
    { ...MESSAGE, id: 18, messageId: bytesOf(''), failures: [{ address: bytesOf('x@z'), report: '' }] },
  ];
  const plain = textOf(formatDigest(plan(), entries, SETTINGS, true));
  assert.equal(
    plain.slice(plain.indexOf('\n\n') + 2),
    `Hi. This is the qmail-send program at mx.example.org.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.
There were too many of them lately to tell you of each message by itself.

<x@y>:
Message 17 of 5 Jan 2026 03:00:00 -0000, Message-ID <1@a>:
later
I'm not going to try again; this message has been in the queue too long.

<x@z>:
Message 18 of 5 Jan 2026 03:00:00 -0000:

--- These were 2 messages; no copies follow.
`,
  );
  assert.match(
    textOf(formatDigest(plan(), entries, SETTINGS, false)),
    /\nSubject: failure notice\nMessage-ID: <.*>\nAuto-Submitted: auto-replied\nMIME-Version: 1\.0\nContent-Type: text\/plain; charset=us-ascii\n.*\n\nHi\. /,
  );
});
