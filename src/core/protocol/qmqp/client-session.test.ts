import assert from 'node:assert/strict';
import { test } from 'node:test';
import { feedEveryWay } from '../../../../test/support/feed-every-way.ts';
import { bytesOf, concatBytes, textOf } from '../../bytes/bytes.ts';
import { encodeQmqpRequest, QmqpClientSession } from './client-session.ts';
import { QmqpServerSession } from './server-session.ts';

function encoded(message: string[], sender: string, ...recipients: string[]): string {
  const envelope = { sender: bytesOf(sender), recipients: recipients.map(bytesOf) };
  return encodeQmqpRequest(message.map(bytesOf), envelope).map(textOf).join('');
}

test('encodeQmqpRequest() nests the netstrings of message, sender and recipients', () => {
  assert.equal(
    encoded(['Subject: x\n', '\nbody\n'], 'a@b.example', 'c@d.example'),
    '51:17:Subject: x\n\nbody\n,11:a@b.example,11:c@d.example,,',
  );
});

test('encodeQmqpRequest() writes empty message, sender and recipients', () => {
  assert.equal(encoded([], '', '', 'x@y'), '15:0:,0:,0:,3:x@y,,');
  assert.equal(encoded([''], 'a@b'), '9:0:,3:a@b,,');
});

test('encodeQmqpRequest() counts bytes when lengths change their number of digits', () => {
  for (const size of [9, 10, 85, 86, 87, 88, 89, 90, 91, 92, 99, 100, 985, 999, 1000]) {
    const text = encoded(['m'.repeat(size)], 's');
    const head = /^(\d+):/.exec(text)?.[0] ?? '';
    assert.equal(Number.parseInt(head, 10), text.length - head.length - 1);
  }
});

test('encodeQmqpRequest() does not copy the message', () => {
  const piece = bytesOf('message');
  const request = encodeQmqpRequest([piece], { sender: bytesOf('s'), recipients: [] });
  assert.equal(request[1], piece);
});

/** What the session says of a reply that comes in these pieces, and then the connection closes. */
function said(pieces: Uint8Array[]): string {
  const session = new QmqpClientSession();
  for (const piece of pieces) session.receive(piece);
  session.receiveEnd();
  const event = session.next();
  assert.equal(session.next(), 'closed');
  assert.ok(typeof event === 'object');
  return event.type === 'reply' ? event.letter : `${event.code} while ${event.where}`;
}

const MALFORMED_LENGTH = 'malformed-reply while reading the length of the reply';
const REPLIES: [string, string][] = [
  ['21:Kok 1234567890 qp 123,', 'K'],
  ['37:Zqq write error or disk full (#4.3.0),', 'Z'],
  ['1:D,', 'D'],
  ['4:ZKKD,', 'Z'],
  ['2:Kk,trailing bytes', 'K'],
  ['', 'early-end while reading the length of the reply'],
  ['21', 'early-end while reading the length of the reply'],
  ['21:', 'early-end while reading the letter of the reply'],
  ['37:Zqq wr', 'early-end while reading the text of the reply'],
  ['2:Kk', 'early-end while reading the end of the reply'],
  ['2:Kkk', 'malformed-reply while reading the end of the reply'],
  ['K', MALFORMED_LENGTH],
  ['hello there K', MALFORMED_LENGTH],
  ['HTTP/1.0 400 BaD\r\n', MALFORMED_LENGTH],
  ['12:unKnown Disk,', 'malformed-reply while reading the letter of the reply'],
  ['4:Xfoo,2:Kk,', 'malformed-reply while reading the letter of the reply'],
  ['4:kzd!,', 'malformed-reply while reading the letter of the reply'],
  ['0:,', MALFORMED_LENGTH],
  ['02:Kk,', MALFORMED_LENGTH],
  [':K,', MALFORMED_LENGTH],
  [' 2:Kk,', MALFORMED_LENGTH],
  ['9999999999:K', MALFORMED_LENGTH],
  ['999999999:K', 'early-end while reading the text of the reply'],
];

for (const [reply, want] of REPLIES) {
  test(`QmqpClientSession takes ${JSON.stringify(reply)} for: ${want}`, () => {
    assert.equal(feedEveryWay(bytesOf(reply), said), want);
  });
}

test('QmqpClientSession waits for the whole reply and says when its time is over', () => {
  const session = new QmqpClientSession();
  session.receive(bytesOf('21:K'));
  assert.equal(session.next(), 'need-input');
  session.timeout();
  assert.deepEqual(session.next(), {
    type: 'violation',
    code: 'timeout',
    where: 'reading the text of the reply',
  });
  session.receiveEnd();
  assert.equal(session.next(), 'closed');
});

test('QmqpClientSession and QmqpServerSession understand each other', () => {
  for (const letter of ['K', 'Z', 'D'] as const) {
    const server = new QmqpServerSession();
    const envelope = { sender: bytesOf('s@x'), recipients: ['', 'r@y'].map(bytesOf) };
    for (const piece of encodeQmqpRequest([bytesOf('a\0'), bytesOf('\nb')], envelope)) server.receive(piece);
    const got: string[] = [];
    for (let event = server.next(); typeof event === 'object'; event = server.next()) {
      if (event.type === 'data') got.push(textOf(event.bytes));
      if (event.type === 'sender' || event.type === 'recipient') got.push(textOf(event.address));
    }
    assert.deepEqual(got, ['a\0\nb', 's@x', '', 'r@y']);
    server.decide({ letter, text: 'text, with: marks' });
    assert.equal(said([concatBytes(server.takeOutput())]), letter);
  }
});

test('the beginning of the text of a reply can be read, and nothing in it that is not printable', () => {
  const rows: [string, string][] = [
    ['12:Zno, go away,', 'no, go away'],
    ['6:Za\x1b\xe9\n\x7f,', 'a????'],
    ['1:K,', ''],
    [`301:D${'x'.repeat(300)},`, 'x'.repeat(200)],
  ];
  for (const [reply, text] of rows) {
    const session = new QmqpClientSession();
    for (const byte of bytesOf(reply)) session.receive(new Uint8Array([byte]));
    assert.equal(session.text, text);
    const whole = new QmqpClientSession();
    whole.receive(bytesOf(reply));
    assert.equal(whole.text, text);
  }
});
