import assert from 'node:assert/strict';
import { test } from 'node:test';
import { feedEveryWay } from '../../../../test/support/feed-every-way.ts';
import { bytesOf, concatBytes, textOf } from '../../bytes/bytes.ts';
import { reportUnsendable, SmtpClientSession } from './client-session.ts';

interface Case {
  readonly replies: string;
  readonly message?: string;
  readonly sender?: string;
  readonly recipients?: readonly string[];
  readonly isCut?: boolean;
}

/** All that a session says and reports when these pieces come from the server, and then the end if it is cut. */
function run(
  { message = 'm\n', sender = 's@a', recipients = ['r@b'], isCut }: Case,
  pieces: readonly Uint8Array[],
) {
  const session = new SmtpClientSession({
    heloName: bytesOf('me'),
    partner: '192.0.2.1',
    sender: bytesOf(sender),
    recipients: recipients.map(bytesOf),
  });
  const said: Uint8Array[] = [];
  const waiting = [...pieces];
  for (;;) {
    const need = session.next();
    said.push(...session.takeOutput());
    if (need === 'closed') break;
    if (need === 'need-message') {
      for (const byte of bytesOf(message)) session.sendMessage(Uint8Array.of(byte));
      session.endMessage();
      continue;
    }
    const piece = waiting.shift();
    if (piece !== undefined) session.receive(piece);
    else if (isCut === true) session.receiveEnd();
    else return { said: textOf(concatBytes(said)), reports: 'waits' };
  }
  return { said: textOf(concatBytes(said)), reports: session.reports.join('|') };
}

function both(one: Case) {
  return feedEveryWay(bytesOf(one.replies), (pieces) => run(one, pieces));
}

const START = 'HELO me\r\nMAIL FROM:<s@a>\r\nRCPT TO:<r@b>\r\n';
const AGREED = '220 a\r\n250 b\r\n250 c\r\n250 d\r\n354 e\r\n';
const ACCEPTED = 'r|K192.0.2.1 accepted message.\nRemote host said: 250 f\n';

test('a message goes out whatever the pieces in which replies come, and QUIT is not waited for', () => {
  assert.deepEqual(both({ replies: `${AGREED}250 f\r\n` }), {
    said: `${START}DATA\r\nm\r\n.\r\nQUIT\r\n`,
    reports: ACCEPTED,
  });
});

test('what is lost after the last answer changes nothing', () => {
  assert.equal(both({ replies: `${AGREED}250 f\r\n`, isCut: true }).reports, ACCEPTED);
});

test('a connection that is cut is temporary, and says when the message may have arrived', () => {
  const replies = AGREED.split(/(?<=\n)/);
  for (const count of replies.keys()) {
    const { reports } = both({ replies: replies.slice(0, count).join(''), isCut: true });
    assert.match(reports, /^(?:r\|)?ZConnected to 192\.0\.2\.1 but connection died\. \(#4\.4\.2\)\n$/);
  }
  assert.equal(
    both({ replies: AGREED, isCut: true }).reports,
    'r|ZConnected to 192.0.2.1 but connection died. Possible duplicate! (#4.4.2)\n',
  );
});

test('the code is three bytes whatever they are, and only the first line has it', () => {
  const rows: [string, RegExp][] = [
    ['250-x\r\n550 y\r\n', /\|K/],
    ['450-x\n250-y\n250\n', /\|Z.*\nRemote host said: 450-x\n250-y\n250\n$/s],
    ['a50 x\r\n', /\|D/],
    ['\n\n\n\n', /\|D/],
    ['   x\r\n', /\|D/],
    ['199 x\r\n', /\|K/],
    ['2-0 x\r\n', /\|K/],
  ];
  for (const [reply, wanted] of rows) assert.match(both({ replies: AGREED + reply }).reports, wanted, reply);
});

test('greeting and name want their very codes, and are never refused for good', () => {
  for (const code of ['200', '221', '354', '421', '554'])
    assert.match(
      both({ replies: `${code} x\r\n` }).reports,
      /^ZConnected to 192\.0\.2\.1 but greeting failed/,
    );
  for (const code of ['251', '500'])
    assert.match(both({ replies: `220 a\r\n${code} x\r\n` }).reports, /^ZConnected .* my name was rejected/);
});

test('a reply without end is given up', () => {
  const endless = Array.from({ length: 40 }, () => bytesOf('220-'.padEnd(65_536, 'x')));
  assert.match(run({ replies: '' }, endless).reports, /^ZConnected to 192\.0\.2\.1 but connection died\. /);
});

test('a message whose last line has no end is not sent, nor is anything behind it', () => {
  const { said, reports } = both({ replies: AGREED, message: 'a\nzz' });
  assert.equal(reports, 'r|DSMTP cannot transfer messages with partial final lines. (#5.6.2)\n');
  assert.doesNotMatch(said, /zz|QUIT|\n\.\r/);
});

test('a message that cannot be read is temporary and has no end', () => {
  const session = new SmtpClientSession({
    ...{ heloName: bytesOf('me'), partner: '192.0.2.1', sender: bytesOf(''), recipients: [bytesOf('r')] },
  });
  session.receive(bytesOf(AGREED));
  assert.equal(session.next(), 'need-message');
  session.sendMessage(bytesOf('a\n'));
  session.failMessage();
  assert.deepEqual(
    [session.next(), session.reports.at(-1)],
    ['closed', 'ZUnable to read message. (#4.3.0)\n'],
  );
  assert.doesNotMatch(textOf(concatBytes(session.takeOutput())), /\.\r\n/);
});

test('addresses that would break a line are refused without being sent', () => {
  const bad = ['r\n@b', 'r@b\r\nDATA', 'r\0@b'];
  const { said, reports } = both({
    replies: `${AGREED}250 f\r\n`,
    recipients: [bad[0]!, 'r@b', bad[1]!, bad[2]!],
  });
  assert.equal(said, `${START}DATA\r\nm\r\n.\r\nQUIT\r\n`);
  assert.match(reports, /^hSorry, that [^|]*\|r\|hSorry[^|]*\|hSorry[^|]*\|K/);
  for (const address of bad) {
    const refused = [bytesOf(address)];
    assert.match(
      reportUnsendable({ sender: bytesOf(''), recipients: refused })!.join('|'),
      /^hSorry[^|]*\|DSorry/,
    );
    assert.match(
      reportUnsendable({ sender: refused[0]!, recipients: [bytesOf('r')] })!.join('|'),
      /^DSorry, the sender/,
    );
  }
  assert.equal(
    reportUnsendable({ sender: bytesOf(''), recipients: [bytesOf('r'), bytesOf(bad[0]!)] }),
    undefined,
  );
});
