// Both sides of QMQP with inputs by chance: what is well-formed is taken as it was meant, everything else ends in a violation
// or waits for more, and no way of cutting the input matters. MINI_QMAIL_FUZZ says how many inputs there are.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, concatBytes, textOf } from '../../src/core/bytes/bytes.ts';
import { encodeQmqpRequest, QmqpClientSession } from '../../src/core/protocol/qmqp/client-session.ts';
import { type QmqpServerLimits, QmqpServerSession } from '../../src/core/protocol/qmqp/server-session.ts';
import { type Chance, fuzz } from '../support/fuzz.ts';
import { cutsOf, damage } from '../support/random-bytes.ts';

const BITS = [...'0123456789:,', ' ', '\0', '-', '99999999999', '00', '\xff'];

/** Events as text; the message's pieces are one. */
function serve(pieces: readonly Uint8Array[], limits: QmqpServerLimits): string[] {
  const session = new QmqpServerSession(limits);
  const said: string[] = [];
  let message = '';
  const size = pieces.reduce((sum, { length }) => sum + length, 0);
  let steps = 0;
  const drain = () => {
    for (;;) {
      assert.ok(++steps <= 4 * (size + pieces.length) + 10, 'work is bounded');
      const event = session.next();
      if (event === 'closed' || event === 'need-input') return;
      if (event === 'need-decision') session.decide({ letter: 'K', text: 'ok' });
      else if (event.type === 'data') message += textOf(event.bytes);
      else if (event.type === 'violation') said.push(`${event.code} while ${event.where}`);
      else if (event.type === 'sender' || event.type === 'recipient')
        said.push(`${event.type} ${textOf(event.address)}`);
      else said.push(event.type);
    }
  };
  for (const piece of pieces) {
    session.receive(piece);
    drain();
    piece.fill(58);
  }
  session.receiveEnd();
  drain();
  assert.equal(session.next(), 'closed');
  return [...said, `message ${message}`, `output ${textOf(concatBytes(session.takeOutput()))}`];
}

interface Mail {
  readonly message: string;
  readonly addresses: readonly string[];
}

function randomMail(chance: Chance): Mail {
  const text = (most: number) => Array.from({ length: chance.below(most) }, () => chance.of(BITS)).join('');
  const address = () => chance.of(['', 'a@b.example', text(4).replaceAll('\0', '')]);
  return { message: text(30), addresses: Array.from({ length: 1 + chance.below(4) }, address) };
}

function requestOf({ message, addresses: [sender = '', ...recipients] }: Mail): string {
  const envelope = { sender: bytesOf(sender), recipients: recipients.map(bytesOf) };
  return textOf(concatBytes(encodeQmqpRequest([bytesOf(message)], envelope)));
}

test('a QMQP server takes what a client sends, and treats all else the same however it is cut', () => {
  const ends = { accepted: 0, refused: 0, violated: 0 };
  fuzz((chance) => {
    const mail = randomMail(chance);
    const request = requestOf(mail);
    const text = chance.of([
      () => damage(chance, request, 3, BITS),
      () => request + chance.of(['', 'more']),
      () => Array.from({ length: chance.below(12) }, () => chance.of(BITS)).join(''),
    ])();
    const limits = chance.of([{}, {}, { messageSizeMax: 10, recipientCountMax: 2, addressBytesMax: 12 }]);
    const [whole, bytewise, random] = cutsOf(chance, text).map((pieces) => serve(pieces, limits));
    assert.deepEqual(bytewise, whole, JSON.stringify(text));
    assert.deepEqual(random, whole, JSON.stringify(text));
    const output = whole!.at(-1)!;
    ends[output.includes('K') ? 'accepted' : output.includes('D') ? 'refused' : 'violated']++;
    if (!text.startsWith(request) || 'messageSizeMax' in limits) return;
    const [sender = '', ...recipients] = mail.addresses;
    const events = [
      'message-start',
      'message-end',
      `sender ${sender}`,
      ...recipients.map((one) => `recipient ${one}`),
    ];
    assert.deepEqual(whole, [...events, 'request-end', `message ${mail.message}`, 'output 3:Kok,']);
  });
  for (const [end, count] of Object.entries(ends)) assert.ok(count > 0, end);
});

/** What a reply means, read as one. */
function judgeSlowly(text: string): string {
  const head = /^([1-9]\d{0,8}):/.exec(text);
  if (head === null) return 'violation';
  const content = text.slice(head[0].length);
  const length = Number(head[1]);
  return content[length] === ',' && 'KZD'.includes(content[0]!) ? `reply ${content[0]}` : 'violation';
}

function ask(pieces: readonly Uint8Array[]): string {
  const session = new QmqpClientSession();
  const said: string[] = [];
  const drain = () => {
    for (let event = session.next(); typeof event === 'object'; event = session.next())
      said.push(event.type === 'reply' ? `reply ${event.letter}` : event.type);
  };
  for (const piece of pieces) {
    session.receive(piece);
    drain();
  }
  session.receiveEnd();
  drain();
  assert.equal(session.next(), 'closed');
  assert.equal(said.length, 1);
  return said[0]!;
}

test('a QMQP client takes a reply for what one who has it whole does, however it is cut', () => {
  const seen = new Set<string>();
  fuzz((chance) => {
    const content = `${chance.of(['K', 'Z', 'D', 'Z', 'X', ''])}${chance.of(['', 'ok', 'K,', '1:K,', 'x'.repeat(40)])}`;
    const reply = `${content.length}:${content},`;
    const text = chance.of([
      () => chance.of(['', '', '', '0', '+']) + reply + chance.of(['', 'more', reply]),
      () => damage(chance, reply, 2, ['K', 'Z', 'D', ...BITS]),
      () => damage(chance, 'HTTP/1.1 400 KO\r\n\r\n1:K,', 2, BITS),
    ])();
    const want = judgeSlowly(text);
    for (const pieces of cutsOf(chance, text)) assert.equal(ask(pieces), want, JSON.stringify(text));
    seen.add(want);
  });
  assert.deepEqual([...seen].sort(), ['reply D', 'reply K', 'reply Z', 'violation']);
});
