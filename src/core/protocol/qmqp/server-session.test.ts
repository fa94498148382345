import assert from 'node:assert/strict';
import { test } from 'node:test';
import { feedEveryWay } from '../../../../test/support/feed-every-way.ts';
import { bytesOf, textOf } from '../../bytes/bytes.ts';
import { type QmqpServerLimits, QmqpServerSession } from './server-session.ts';

/** All events in order as text, data joined; then the reply to the decision `Kok`. */
function transcript(pieces: Uint8Array[], limits?: QmqpServerLimits, end = true): string[] {
  const session = new QmqpServerSession(limits);
  const lines: string[] = [];
  let data = '';
  let fed = 0;
  for (;;) {
    const event = session.next();
    if (event === 'need-input') {
      if (fed > 0) pieces[fed - 1]?.fill(0xee);
      const piece = pieces[fed++];
      if (piece !== undefined) session.receive(piece);
      else if (end) session.receiveEnd();
      else return [...lines, `waits while ${session.where}`];
    } else if (event === 'need-decision') session.decide({ letter: 'K', text: 'ok' });
    else if (event === 'closed') {
      const reply = session.takeOutput().map(textOf).join('');
      return reply === '' ? lines : [...lines, reply];
    } else if (event.type === 'data') data += textOf(event.bytes);
    else if (event.type === 'message-end') lines.push(`message ${data}`);
    else lines.push(describe(event));
  }
}

function describe(event: Exclude<ReturnType<QmqpServerSession['next']>, string>): string {
  switch (event.type) {
    case 'message-start':
      return `start ${event.size}`;
    case 'sender':
    case 'recipient':
      return `${event.type} ${textOf(event.address)}`;
    case 'request-end':
      return event.refused ? 'refused' : 'end';
    case 'violation':
      return `${event.code} while ${event.where}`;
    default:
      return event.type;
  }
}

const net = (text: string) => `${text.length}:${text},`;
const request = (message: string, ...addresses: string[]) => net([message, ...addresses].map(net).join(''));
const REFUSAL = "51:Dsorry, I can't accept addresses like that (#5.1.3),";
const MESSAGE = ['start 4', 'message a\0\n\xff'];
const hi = net('a\0\n\xff');

const CASES: { name: string; input: string; want: string[]; limits?: QmqpServerLimits }[] = [
  {
    name: 'reads a request',
    input: request('a\0\n\xff', 's@x', 'r@y', ''),
    want: [...MESSAGE, 'sender s@x', 'recipient r@y', 'recipient ', 'end', '3:Kok,'],
  },
  {
    name: 'reads a request without recipients, with an empty message and sender',
    input: request('', ''),
    want: ['start 0', 'message ', 'sender ', 'end', '3:Kok,'],
  },
  {
    name: 'takes leading zeros and an empty length',
    input: '00014:000:,:,002:xy,,',
    want: ['start 0', 'message ', 'sender ', 'recipient xy', 'end', '3:Kok,'],
  },
  {
    name: 'says early end before anything',
    input: '',
    want: ['early-end while reading the length of the request'],
  },
  {
    name: 'says early end in a length',
    input: '12',
    want: ['early-end while reading the length of the request'],
  },
  {
    name: 'refuses a byte that is no digit in the outer length',
    input: '1x:',
    want: ['bad-length while reading the length of the request'],
  },
  {
    name: 'refuses a request of length 0',
    input: '0:,',
    want: ['length-disagreement while reading the length of the message'],
  },
  {
    name: 'takes an outer length of 99 digits',
    input: `${'0'.repeat(97)}14:0:,0:,5:abcde,,`,
    want: ['start 0', 'message ', 'sender ', 'recipient abcde', 'end', '3:Kok,'],
  },
  {
    name: 'refuses an outer length of 100 digits',
    input: `${'0'.repeat(98)}14:0:,0:,5:abcde,,`,
    want: ['length-disagreement while reading the length of the request'],
  },
  {
    name: 'takes a length of ten digits that begins with 200000000',
    input: '2000000009:',
    want: ['early-end while reading the length of the message'],
  },
  {
    name: 'takes a length of nine digits over 200000000',
    input: '999999999:',
    want: ['early-end while reading the length of the message'],
  },
  {
    name: 'refuses a length whose first nine digits are over 200000000',
    input: '2000000010:',
    want: ['length-overflow while reading the length of the request'],
  },
  {
    name: 'refuses eleven digits',
    input: '20000000000:',
    want: ['length-overflow while reading the length of the request'],
  },
  {
    name: 'says overflow before it says no digit',
    input: '200000001x',
    want: ['length-overflow while reading the length of the request'],
  },
  {
    name: 'refuses a message length over what an inner length can be',
    input: '35:3000000000:x,',
    want: ['length-overflow while reading the length of the message'],
  },
  {
    name: 'refuses a message longer than the request',
    input: '8:50:abcdefgh,',
    want: ['start 50', 'length-disagreement while reading the message'],
  },
  {
    name: 'says early end in the message',
    input: '80:50:abcdefgh',
    want: ['start 50', 'early-end while reading the message'],
  },
  {
    name: 'refuses another byte than the comma after the message',
    input: '20:1:a;1:b,',
    want: ['start 1', 'missing-comma while reading the end of the message'],
  },
  {
    name: 'refuses a request that ends with the message',
    input: net(hi),
    want: [...MESSAGE, 'length-disagreement while reading the length of an address'],
  },
  {
    name: 'refuses another byte than the comma after an address',
    input: `${net(`${hi}1:b;`).slice(0, -1)}`,
    want: [...MESSAGE, 'missing-comma while reading the end of an address'],
  },
  {
    name: 'refuses a recipient longer than the request',
    input: net(`${hi}1:b,9:abc,`),
    want: [...MESSAGE, 'sender b', 'length-disagreement while reading an address'],
  },
  {
    name: 'refuses an outer length that ends before a comma',
    input: `9:${hi}1:,`,
    want: [...MESSAGE, 'length-disagreement while reading an address'],
  },
  {
    name: 'refuses a final byte other than a comma',
    input: `${request('a\0\n\xff', 's').slice(0, -1)};`,
    want: [...MESSAGE, 'sender s', 'missing-comma while reading the end of the request'],
  },
  {
    name: 'says early end before the final comma',
    input: request('a\0\n\xff', 's').slice(0, -1),
    want: [...MESSAGE, 'sender s', 'early-end while reading the end of the request'],
  },
  {
    name: 'takes addresses of 999 bytes',
    input: request('a\0\n\xff', 's'.repeat(999), 'r'.repeat(999)),
    want: [...MESSAGE, `sender ${'s'.repeat(999)}`, `recipient ${'r'.repeat(999)}`, 'end', '3:Kok,'],
  },
  {
    name: 'refuses a sender of 1000 bytes after the whole request',
    input: request('a\0\n\xff', 's'.repeat(1000), 'r'),
    want: [...MESSAGE, 'refused', REFUSAL],
  },
  {
    name: 'refuses a recipient of 1000 bytes after the whole request',
    input: request('a\0\n\xff', 's', 'q', 'r'.repeat(1000), 'r'),
    want: [...MESSAGE, 'sender s', 'recipient q', 'refused', REFUSAL],
  },
  {
    name: 'refuses a recipient with a NUL after the whole request',
    input: request('a\0\n\xff', 's', 'a\0b', 'r'),
    want: [...MESSAGE, 'sender s', 'refused', REFUSAL],
  },
  {
    name: 'still sees violations in a request it will refuse',
    input: `${request('a\0\n\xff', '\0', 'r').slice(0, -1)}x`,
    want: [...MESSAGE, 'missing-comma while reading the end of the request'],
  },
  {
    name: 'takes a message of exactly the limit',
    input: request('a\0\n\xff', 's', 'r'),
    limits: { messageSizeMax: 4, recipientCountMax: 1, addressBytesMax: 2 },
    want: [...MESSAGE, 'sender s', 'recipient r', 'end', '3:Kok,'],
  },
  {
    name: 'throws a message over the limit away and refuses it at the end',
    input: request('a\0\n\xff', 's', 'r'),
    limits: { messageSizeMax: 3 },
    want: ['refused', '51:Dsorry, that message exceeds my size limit (#5.3.4),'],
  },
  {
    name: 'refuses too many recipients',
    input: request('a\0\n\xff', 's', 'r', 't', 'u'),
    limits: { recipientCountMax: 1 },
    want: [
      ...MESSAGE,
      'sender s',
      'recipient r',
      'refused',
      '53:Dsorry, that message has too many recipients (#5.5.3),',
    ],
  },
  {
    name: 'refuses too many bytes of addresses',
    input: request('a\0\n\xff', 's', 'rr'),
    limits: { addressBytesMax: 2 },
    want: [...MESSAGE, 'sender s', 'refused', '53:Dsorry, that message has too many recipients (#5.5.3),'],
  },
];

for (const { name, input, want, limits } of CASES) {
  test(`QmqpServerSession ${name}`, () => {
    const got = feedEveryWay(bytesOf(input), (pieces) => transcript(pieces, limits));
    assert.deepEqual(got, want);
  });
}

test('QmqpServerSession ignores what follows the request, and the end of input after it', () => {
  const input = bytesOf(`${request('m', 's', 'r')}48:trailing`);
  const got = feedEveryWay(input, (pieces) => transcript(pieces));
  assert.deepEqual(got, ['start 1', 'message m', 'sender s', 'recipient r', 'end', '3:Kok,']);
});

test('QmqpServerSession tells whether there is more than the request', () => {
  const session = new QmqpServerSession();
  session.receive(bytesOf(request('m', 's', 'r')));
  while (session.next() !== 'need-decision');
  assert.equal(session.hasExcess, false);
  session.receive(bytesOf('x'));
  assert.equal(session.hasExcess, true);
});

test('QmqpServerSession replies without waiting for the client to close', () => {
  const got = feedEveryWay(bytesOf(request('m', 's')), (pieces) => transcript(pieces, {}, false));
  assert.deepEqual(got, ['start 1', 'message m', 'sender s', 'end', '3:Kok,']);
});

test('QmqpServerSession waits for input wherever a request is cut', () => {
  const whole = request('message', 'sender', 'recipient');
  for (let length = 0; length < whole.length; length++) {
    const got = transcript([bytesOf(whole.slice(0, length))], {}, false);
    assert.match(got.at(-1) ?? '', /^waits while reading/, `cut at ${length}`);
  }
});

test('QmqpServerSession hands out the message without copying it', () => {
  const input = bytesOf(request('message', 's'));
  const session = new QmqpServerSession();
  session.receive(input);
  session.next();
  const event = session.next();
  assert.ok(typeof event === 'object' && event.type === 'data');
  assert.equal(event.bytes.buffer, input.buffer);
});

test('QmqpServerSession keeps unread bytes when more are received early', () => {
  const session = new QmqpServerSession();
  session.receive(bytesOf('12:1:a,'));
  session.receive(bytesOf('1:b,1:c,,'));
  const types = [];
  for (let event = session.next(); typeof event === 'object'; event = session.next()) types.push(event.type);
  assert.deepEqual(types, ['message-start', 'data', 'message-end', 'sender', 'recipient', 'request-end']);
});

test('QmqpServerSession ends without a reply when its time is over', () => {
  const session = new QmqpServerSession();
  session.receive(bytesOf('12:1:a,'));
  for (let event = session.next(); event !== 'need-input'; event = session.next());
  assert.deepEqual(session.timeout(), {
    type: 'violation',
    code: 'timeout',
    where: 'reading the length of an address',
  });
  assert.equal(session.next(), 'closed');
  assert.equal(session.timeout(), 'closed');
  assert.deepEqual(session.takeOutput(), []);
});

test('QmqpServerSession takes a decision only when it asked for one', () => {
  const session = new QmqpServerSession();
  assert.throws(() => session.decide({ letter: 'K', text: '' }), /Cannot decide on a request while reading/);
});

/** Repeatable pseudo-random numbers below `limit` (mulberry32). */
function generator(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  };
}

test('QmqpServerSession accepts or says violation on 3000 mutated requests, however they are cut', () => {
  const random = generator(20261122);
  const marks = bytesOf(':,0129\0x');
  let accepted = 0;
  for (let round = 0; round < 3000; round++) {
    const addresses = Array.from({ length: random(4) }, () => 'x'.repeat(random(30)));
    const input = bytesOf(request('m'.repeat(random(40)), ...addresses));
    for (let i = random(4); i > 0; i--) input[random(input.length)] = marks[random(marks.length)] ?? 0;
    const got = feedEveryWay(input, (pieces) => transcript(pieces), { cutsMax: 8 });
    const last = got.at(-1) ?? '';
    assert.match(last, /^(3:Kok,|51:Dsorry.*|[a-z-]+ while reading .*)$/, `round ${round}`);
    if (last === '3:Kok,') accepted++;
  }
  assert.ok(accepted > 100 && accepted < 2900, `${accepted} accepted`);
});
