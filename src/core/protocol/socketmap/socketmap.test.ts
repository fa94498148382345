// Both sides of the socketmap protocol, fed every way.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { feedEveryWay } from '../../../../test/support/feed-every-way.ts';
import { bytesOf, concatBytes, textOf } from '../../bytes/bytes.ts';
import { SocketmapClientSession } from './client-session.ts';
import { SOCKETMAP_LENGTH_MAX, type SocketmapReply } from './messages.ts';
import { SocketmapServerSession } from './server-session.ts';

const FOUND: SocketmapReply = { status: 'OK', data: bytesOf('yes') };

/** What a server session says of these bytes, each question answered with its key. */
function serve(input: string, ends = true): string[] {
  return feedEveryWay(bytesOf(input), (pieces) => {
    const session = new SocketmapServerSession();
    const said: string[] = [];
    const drain = () => {
      for (;;) {
        const event = session.next();
        if (event === 'need-input' || event === 'closed' || event === 'need-decision') return event;
        if (event.type === 'violation') said.push(`${event.code} while ${event.where}`);
        else {
          said.push(`${textOf(event.name)}|${textOf(event.key)}`);
          assert.equal(session.next(), 'need-decision');
          session.decide({ status: 'OK', data: event.key });
        }
      }
    };
    for (const piece of pieces) {
      session.receive(piece);
      drain();
      piece.fill(1);
    }
    if (ends) session.receiveEnd();
    said.push(drain());
    said.push(textOf(concatBytes(session.takeOutput())));
    return said;
  });
}

/** What a client session with so many open questions says of these bytes. */
function ask(input: string, questions: number, ends = true): string[] {
  return feedEveryWay(bytesOf(input), (pieces) => {
    const session = new SocketmapClientSession();
    const said: string[] = [];
    for (let i = 0; i < questions; i++) session.ask({ name: bytesOf('m'), key: bytesOf(`k ${i}`) });
    const drain = () => {
      for (;;) {
        const event = session.next();
        if (event === 'need-input' || event === 'closed') return event;
        said.push(event.type === 'reply' ? `${event.status}|${textOf(event.data)}` : event.code);
      }
    };
    for (const piece of pieces) {
      session.receive(piece);
      drain();
      piece.fill(1);
    }
    if (ends) session.receiveEnd();
    const state = drain();
    return [...said, state, `${session.openCount} open`];
  });
}

test('a server reads questions and answers each in order', () => {
  assert.deepEqual(serve('11:recipient a,15:recipient b@c d,2:m ,4:m  k,'), [
    'recipient|a',
    'recipient|b@c d',
    'm|',
    'm| k',
    'closed',
    '4:OK a,8:OK b@c d,3:OK ,5:OK  k,',
  ]);
  assert.deepEqual(serve('1: ,', false), ['|', 'need-input', '3:OK ,']);
});

const BROKEN: [name: string, input: string][] = [
  ['a question without a blank', '3:abc,'],
  ['an empty question', '0:,'],
  ['no digit', ':'],
  ['a sign', '-1:'],
  ['a leading zero', '03:m k,'],
  ['another end than a comma', '3:m k;'],
  ['a question that is too long', `${SOCKETMAP_LENGTH_MAX + 1}:`],
  ['a length without end', '1111111111111111111'],
];

for (const [name, input] of BROKEN) {
  test(`a server sends ${name} away`, () => {
    assert.deepEqual(serve(`3:m k,${input}3:m k,`), [
      'm|k',
      'malformed-query while reading a query',
      'closed',
      '4:OK k,',
    ]);
  });
}

test('a server notices a client that leaves in a question, and takes no offence at one that leaves after it', () => {
  for (const input of ['1', '3:', '3:m', '3:m k'])
    assert.deepEqual(serve(input), ['early-end while reading a query', 'closed', '']);
  assert.deepEqual(serve(''), ['closed', '']);
});

test('a server takes a question of the greatest length, and refuses to answer what was not asked', () => {
  const key = 'k'.repeat(SOCKETMAP_LENGTH_MAX - 2);
  const session = new SocketmapServerSession();
  session.receive(bytesOf(`${SOCKETMAP_LENGTH_MAX}:m ${key},`));
  const event = session.next();
  assert.ok(typeof event === 'object' && event.type === 'query' && textOf(event.key) === key);
  session.decide(FOUND);
  assert.throws(() => session.decide(FOUND), /Cannot answer while reading a query/);
});

test('a client has its answers in order', () => {
  assert.deepEqual(ask('6:OK yes,9:NOTFOUND ,8:TEMP a b,8:TIMEOUT ,4:PERM,2:OK,', 7, false), [
    'OK|yes',
    'NOTFOUND|',
    'TEMP|a b',
    'TIMEOUT|',
    'PERM|',
    'OK|',
    'need-input',
    '1 open',
  ]);
});

test('a client asks as Postfix does', () => {
  const session = new SocketmapClientSession();
  session.ask({ name: bytesOf('recipient'), key: bytesOf('a@b c') });
  assert.equal(textOf(concatBytes(session.takeOutput())), '15:recipient a@b c,');
  assert.deepEqual(session.takeOutput(), []);
});

const REPLIES: [name: string, input: string, want: string][] = [
  ['a word of another protocol', '3:YES,', 'malformed-reply'],
  ['a word with more letters', '4:OKAY,', 'malformed-reply'],
  ['a word in small letters', '3:ok ,', 'malformed-reply'],
  ['an empty answer', '0:,', 'malformed-reply'],
  ['no netstring', '220 hello\r\n', 'malformed-reply'],
  ['an answer that is too long', `${SOCKETMAP_LENGTH_MAX + 1}:OK`, 'malformed-reply'],
  ['an end in the answer', '3:OK', 'early-end'],
  ['an end before it', '', 'early-end'],
];

for (const [name, input, want] of REPLIES) {
  test(`a client takes ${name} for the end`, () => {
    assert.deepEqual(ask(`3:OK ,${input}`, 2), ['OK|', want, 'closed', '1 open']);
  });
}

test('a client takes no answer that it has not asked for, and no offence at a server that leaves after the last', () => {
  assert.deepEqual(ask('3:OK ,3:OK ,', 1), ['OK|', 'unasked-reply', 'closed', '0 open']);
  assert.deepEqual(ask('3:OK ,', 1), ['OK|', 'closed', '0 open']);
  assert.throws(() => {
    const session = new SocketmapClientSession();
    session.receiveEnd();
    session.next();
    session.ask({ name: bytesOf('m'), key: bytesOf('k') });
  }, /after the end/);
});
