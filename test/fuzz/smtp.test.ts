// The SMTP server session with dialogues by chance: right ones get the replies that a small model of a server gives, and no
// damage makes a session hang, say what is no reply, or depend on how its input is cut. MINI_QMAIL_FUZZ says how many
// dialogues there are.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, concatBytes, textOf } from '../../src/core/bytes/bytes.ts';
import { parseSmtpExtensions } from '../../src/core/protocol/smtp/server-extensions.ts';
import { type SmtpServerEvent, SmtpServerSession } from '../../src/core/protocol/smtp/server-session.ts';
import { type Chance, fuzz } from '../support/fuzz.ts';
import { cutsOf, damage } from '../support/random-bytes.ts';

const BITS = [
  ...[
    '\r\n',
    '\n',
    '\r',
    '\0',
    ' ',
    '.',
    '\r\n.\r\n',
    '<',
    '>',
    '@',
    ':',
    '"',
    '\\',
    '[127.0.0.1]',
    '\xff',
    ',',
  ],
  ...[
    'MAIL FROM:',
    'RCPT TO:',
    'DATA\r\n',
    'RSET\r\n',
    'QUIT\r\n',
    'STARTTLS\r\n',
    ' SIZE=9',
    ' SMTPUTF8',
    ' BODY=8BITMIME',
    'LHLO x\r\n',
  ],
  ...[' RET=HDRS', ' ENVID=e', ' NOTIFY=', 'NEVER', 'DELAY', ' ORCPT=', 'rfc822;', '+2B', '+'],
];

/** What a session did. */
interface Account {
  /** Everything that was said to the client. */
  readonly output: string;
  /** Recipients, starts and ends of messages, and why it ended if not at QUIT. */
  readonly events: readonly string[];
  /** Envelopes with their messages, as far as they were accepted. */
  readonly messages: readonly (readonly [envelope: string, message: string])[];
}

interface Settings {
  readonly extensions: readonly string[];
  readonly sizeMax?: number;
  readonly offersTls?: boolean;
  readonly offersDsn?: boolean;
  readonly isLmtp?: boolean;
}

/** Runs a session that accepts recipients but those in `bad`, and every message. */
function serve(
  pieces: readonly Uint8Array[],
  { extensions, sizeMax = 0, offersTls = false, offersDsn, isLmtp }: Settings,
): Account {
  const parsed = parseSmtpExtensions(extensions.map(bytesOf));
  assert.ok('extensions' in parsed);
  const local = {
    host: bytesOf('me.example'),
    isLocal: (ip: readonly number[] | Uint8Array) => ip[0] === 127,
  };
  const session = new SmtpServerSession({
    greeting: 'me',
    sizeMax,
    extensions: parsed.extensions,
    ...{ offersTls, offersDsn, isLmtp, local },
  });
  const output: Uint8Array[] = [];
  const events: string[] = [];
  const messages: [string, string][] = [];
  let data = '';
  let steps = 0;
  const size = pieces.reduce((sum, { length }) => sum + length, 0);

  function take(event: SmtpServerEvent): void {
    if (event.type === 'data') data += textOf(event.bytes);
    else if (event.type === 'violation') events.push(`${event.code} while ${event.where}`);
    else if (event.type === 'start-tls') session.decide({ code: 220, text: 'ready' });
    else if (event.type === 'recipient') {
      events.push(`${textOf(event.sender)} to ${textOf(event.address)}`);
      const isBad = textOf(event.address).endsWith('bad');
      session.decide(isBad ? { code: 550, text: 'no' } : { code: 250, text: 'ok' }, event.address);
    } else if (event.type === 'message-start') {
      events.push(`start ${event.helo} ${event.protocol}`);
      data = '';
      session.decide({ code: 354, text: 'go ahead' });
    } else {
      events.push(`end ${event.isRefused} ${JSON.stringify(event.dsn)}`);
      const envelope = textOf(event.envelope);
      assert.match(envelope, /^F[^\0]*\0(?:T[^\0]*\0)+\0$/);
      if (!event.isRefused) messages.push([envelope, data]);
      session.decide({ code: 250, text: 'queued' });
    }
  }

  function drain(): void {
    for (;;) {
      assert.ok(++steps <= 3 * (size + pieces.length) + 20, 'work is bounded');
      const event = session.next();
      if (event === 'closed') return;
      if (event === 'need-input' || event === 'need-output') {
        output.push(...session.takeOutput().map((part) => part.slice()));
        if (event === 'need-input') return;
      } else if (event === 'need-decision') session.secured();
      else take(event);
    }
  }

  for (const piece of pieces) {
    session.receive(piece);
    drain();
    piece.fill(10);
  }
  session.receiveEnd();
  drain();
  assert.equal(session.next(), 'closed');
  output.push(...session.takeOutput());
  const said = textOf(concatBytes(output));
  assert.match(said, /^(?:\d{3}[ -][^\r\n]*\r\n)+$/);
  return { output: said, events, messages };
}

/** A dialogue, the codes of its replies, and the recipients and text of each message that it hands over. */
interface Dialogue {
  readonly text: string;
  readonly codes: readonly number[];
  readonly messages: readonly (readonly [envelope: string, message: string])[];
}

const LINES = ['', 'text', '.', '..', '.x', '\r', 'a\rb', 'MAIL FROM:<x>', '\xe9'];

/** Commands in any order, as a client that keeps to the grammar sends them, with what a server has to say. */
function randomDialogue(chance: Chance): Dialogue {
  const codes = [220];
  const messages: [string, string][] = [];
  let text = '';
  let sender: string | undefined;
  let recipients: string[] = [];
  const say = (line: string, code: number) => {
    text += `${line}\r\n`;
    codes.push(code);
  };
  const start = (from: string | undefined) => {
    sender = from;
    recipients = [];
  };
  const commands = [
    () => say(chance.of(['HELO x', 'helo', 'EHLO y z']), 250),
    () => say('NOOP', 250),
    () => say('VRFY ann', 252),
    () => say(chance.of(['TURN', 'AUTH PLAIN', 'x'.repeat(300), '']), 502),
    () => say('RSET', 250),
    () => {
      const from = chance.of(['', 'ann@a.example', '"x y"@a', 'a@b,c']);
      say(
        `${chance.of(['MAIL FROM:', 'mail from: ', 'Mail From:'])}<${from}>${chance.of(['', ' BODY=8BITMIME'])}`,
        250,
      );
      start(from.replaceAll('"', ''));
    },
    () => {
      const to = chance.of(['bob@b.example', 'c', 'no@bad']);
      say(`RCPT TO:<${to}>`, sender === undefined ? 503 : to === 'no@bad' ? 550 : 250);
      if (sender !== undefined && to !== 'no@bad') recipients.push(to);
    },
    () => {
      say('DATA', recipients.length === 0 ? 503 : 354);
      if (recipients.length === 0) return;
      const lines = Array.from({ length: chance.below(4) }, () => chance.of(LINES));
      for (const line of lines) text += `${line.startsWith('.') ? '.' : ''}${line}\r\n`;
      say('.', 250);
      const envelope = `F${sender}\0${recipients.map((one) => `T${one}\0`).join('')}\0`;
      messages.push([envelope, lines.map((line) => `${line}\n`).join('')]);
      start(undefined);
    },
  ];
  for (let count = chance.below(14); count > 0; count--) {
    const first = chance.of([0, 1, 2, 3, 4, 5, 5, 5, 5, 6, 7]);
    // Transactions that come to their end are rare otherwise.
    const last = first === 5 ? 5 + chance.below(3) : first;
    for (const command of commands.slice(first, last + 1)) command();
    if (first === 0 || first === 4) start(undefined);
  }
  if (chance.below(2) === 0) say('QUIT', 221);
  return { text, codes, messages };
}

const codesOf = (output: string) => [...output.matchAll(/^(\d{3}) /gm)].map(([, code]) => Number(code));

test('a dialogue that is right has the replies and messages that it should have, however it is cut', () => {
  let handedOver = 0;
  fuzz((chance) => {
    const { text, codes, messages } = randomDialogue(chance);
    for (const pieces of cutsOf(chance, text)) {
      const account = serve(pieces, { extensions: [] });
      assert.deepEqual(codesOf(account.output), codes, JSON.stringify(text));
      assert.deepEqual(account.messages, messages, JSON.stringify(text));
    }
    handedOver += messages.length;
  });
  assert.ok(handedOver > 0);
});

test('a dialogue that is wrong has the same replies and messages however it is cut', () => {
  const seen = new Set<string>();
  fuzz((chance) => {
    const text = chance.of([
      () => damage(chance, randomDialogue(chance).text, 4, BITS),
      () => Array.from({ length: chance.below(16) }, () => chance.of(BITS)).join(''),
    ])();
    const extensions = chance.of([
      [],
      ['size', 'smtputf8'],
      ['errors=3', 'barecr=reject', 'recipients=1'],
      ['notqmail'],
    ]);
    const sizeMax = chance.of([0, 0, chance.below(20)]);
    const settings = { extensions, sizeMax, offersDsn: chance.below(2) === 0, isLmtp: chance.below(4) === 0 };
    const [whole, bytewise, random] = cutsOf(chance, text).map((pieces) => serve(pieces, settings));
    assert.deepEqual(bytewise, whole, JSON.stringify(text));
    assert.deepEqual(random, whole, JSON.stringify(text));
    seen.add(whole!.events.at(-1)?.split(' ', 1)[0] ?? 'nothing');
  });
  for (const end of ['early-end', 'bare-lf']) assert.ok(seen.has(end), [...seen].join());
});

test('a session with TLS, or a strict one, ends whatever is said', () => {
  fuzz((chance) => {
    const text = damage(chance, randomDialogue(chance).text, 5, BITS);
    const settings = {
      extensions: chance.of([[], ['strict'], ['strict', 'smtputf8', 'size']]),
      offersTls: true,
    };
    for (const pieces of cutsOf(chance, text)) serve(pieces, settings);
  });
});
