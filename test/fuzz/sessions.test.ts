// Servers and what clients might say to them: a session makes the same of it however the network cuts it, and the end of a
// message is where a reader who sees it as a whole finds it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../../src/core/bytes/bytes.ts';
import { QmqpServerSession } from '../../src/core/protocol/qmqp/server-session.ts';
import { type Chance, fuzz } from '../support/fuzz.ts';
import { converse, settingsOf } from '../support/smtp-conversation.ts';
import { decode, decodeByReference } from '../support/smtp-data.ts';

function stream(chance: Chance, words: readonly string[], wordsMax: number): string {
  return Array.from({ length: chance.below(wordsMax) }, () => chance.of(words)).join('');
}

/** The text in pieces, of which some may be empty. */
function cut(chance: Chance, text: string): Uint8Array[] {
  const places = Array.from({ length: chance.below(6) }, () => chance.below(text.length + 1));
  places.sort((a, b) => a - b);
  return [...places, text.length].map((place, i) => bytesOf(text.slice(places[i - 1] ?? 0, place)));
}

const DATA_WORDS = ['\r', '\n', '.', 'a', '\0', '\r\n', '\r\n.'];

test('the decoder of SMTP messages finds what the reference finds', () => {
  fuzz((chance) => {
    const sent = stream(chance, DATA_WORDS, 24);
    assert.deepEqual(decode(cut(chance, sent)), decodeByReference(sent));
  });
});

const START = 'MAIL FROM:<s@a>\r\nRCPT TO:<r@b>\r\nDATA\r\n';
const COMMANDS = [
  ...['EHLO x\r\n', 'RSET\r\n', 'QUIT\r\n', 'NOOP\r\n', 'HELP\n', 'MAIL FROM:<s>\r\n', 'RCPT TO:<r>\r\n'],
  ...['DATA\r\n', 'STARTTLS\r\n', 'MAIL FROM:<a@b> SIZE=', '9 ', 'RCPT TO:', '<', '>', '"', '\\', '@', ':'],
  ...[START, '\r\n.\r\n', 'Received\r\n', ...DATA_WORDS],
];

test('an SMTP session makes the same of every stream however it is cut', () => {
  fuzz((chance) => {
    const client = stream(chance, COMMANDS, 20);
    const limits = { errorCountMax: chance.below(4), recipientCountMax: 1 + chance.below(3) };
    const extensions = { size: chance.below(2) === 1, smtputf8: chance.below(2) === 1, ...limits };
    const settings = settingsOf(extensions, { sizeMax: chance.below(20) });
    assert.deepEqual(converse(cut(chance, client), settings), converse([bytesOf(client)], settings));
  });
});

const NUMBERS = ['0', '1', '2', '3', '5', '9', '12', '20', '200000001'];
const REQUESTS = [...NUMBERS, ':', ',', 'a', '\0', '2:m\n,', '1:s,', '3:r@y,', '0:,', '15:2:m\n,1:s,3:r@y,,'];

const REQUEST = '30:2:m\n,4:s@xy,3:r@y,5:aa@bb,,';

/** The text with a piece of it replaced. */
function damaged(chance: Chance, text: string): string {
  const from = chance.below(text.length);
  return text.slice(0, from) + chance.of(REQUESTS) + text.slice(from + chance.below(3));
}

/** Everything that a QMQP session says of a request. */
function request(pieces: readonly Uint8Array[]): string[] {
  const session = new QmqpServerSession({ messageSizeMax: 10, recipientCountMax: 3 });
  const waiting = pieces.slice();
  const said: string[] = [];
  let message = '';
  for (;;) {
    const event = session.next();
    if (event === 'closed') break;
    if (event === 'need-decision') session.decide({ letter: 'K', text: '' });
    else if (event === 'need-input') {
      const piece = waiting.shift();
      if (piece === undefined) session.receiveEnd();
      else session.receive(piece);
    } else if (event.type === 'data') message += textOf(event.bytes);
    else said.push(JSON.stringify(event));
  }
  return [message, ...said, ...session.takeOutput().map(textOf)];
}

test('a QMQP session makes the same of every stream however it is cut', () => {
  fuzz((chance) => {
    const client = chance.below(2) === 0 ? stream(chance, REQUESTS, 12) : damaged(chance, REQUEST);
    assert.deepEqual(request(cut(chance, client)), request([bytesOf(client)]));
  });
});
