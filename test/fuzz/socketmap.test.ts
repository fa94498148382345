// Both sides of the socketmap protocol with inputs by chance, against a reader that has the whole text before it.
// MINI_QMAIL_FUZZ says how many inputs there are.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../../src/core/bytes/bytes.ts';
import { SocketmapClientSession } from '../../src/core/protocol/socketmap/client-session.ts';
import { SocketmapServerSession } from '../../src/core/protocol/socketmap/server-session.ts';
import { type Chance, fuzz } from '../support/fuzz.ts';
import { cutsOf, damage } from '../support/random-bytes.ts';

const BITS = [...'0123456789:, ', '\0', '-', '100000', '100001', '00', '\xff', 'OK', 'NOTFOUND '];
const LENGTH_MAX = 100_000;

/** The contents of the netstrings that the text begins with, and what follows: nothing, the beginning of one, or none. */
function readSlowly(text: string): { contents: string[]; rest: 'nothing' | 'part' | 'malformed' } {
  const contents: string[] = [];
  for (let rest = text; ; ) {
    if (rest === '') return { contents, rest: 'nothing' };
    const head = /^(0|[1-9]\d*):/.exec(rest);
    if (head === null) {
      const isPart = /^(?:0|[1-9]\d*)$/.test(rest) && Number(rest) <= LENGTH_MAX;
      return { contents, rest: isPart ? 'part' : 'malformed' };
    }
    const length = Number(head[1]);
    const end = head[0].length + length;
    if (length > LENGTH_MAX || (end < rest.length && rest[end] !== ','))
      return { contents, rest: 'malformed' };
    if (end >= rest.length) return { contents, rest: 'part' };
    contents.push(rest.slice(head[0].length, end));
    rest = rest.slice(end + 1);
  }
}

interface Fed {
  receive(bytes: Uint8Array): void;
  receiveEnd(): void;
}

/** Feeds a session, and overwrites what it has had. */
function feed(session: Fed, pieces: readonly Uint8Array[], drain: () => void): void {
  for (const piece of pieces) {
    session.receive(piece);
    drain();
    piece.fill(58);
  }
  session.receiveEnd();
  drain();
}

function serve(pieces: readonly Uint8Array[]): string[] {
  const session = new SocketmapServerSession();
  const said: string[] = [];
  feed(session, pieces, () => {
    for (let event = session.next(); event !== 'closed' && event !== 'need-input'; event = session.next()) {
      if (event === 'need-decision') session.decide({ status: 'NOTFOUND', data: bytesOf('') });
      else said.push(event.type === 'query' ? `${textOf(event.name)} ${textOf(event.key)}` : event.code);
    }
  });
  assert.equal(session.next(), 'closed');
  const answers = said.filter((one) => one.includes(' ')).length;
  assert.equal(session.takeOutput().map(textOf).join(''), '9:NOTFOUND ,'.repeat(answers));
  return said;
}

function ask(pieces: readonly Uint8Array[], questions: number): string[] {
  const session = new SocketmapClientSession();
  for (let i = 0; i < questions; i++) session.ask({ name: bytesOf('m'), key: bytesOf('k') });
  const said: string[] = [];
  feed(session, pieces, () => {
    for (let event = session.next(); typeof event === 'object'; event = session.next())
      said.push(event.type === 'reply' ? `${event.status} ${textOf(event.data)}` : event.code);
  });
  assert.equal(session.next(), 'closed');
  return said;
}

function randomStream(chance: Chance, words: readonly string[]): string {
  const netstring = () => {
    const content = `${chance.of(words)}${chance.of(['', ' '])}${chance.of(['', 'a@b', ' ', '3:m k,', '\0,'])}`;
    return `${content.length}:${content},`;
  };
  const stream = Array.from({ length: chance.below(4) }, netstring).join('');
  return chance.of([
    () => stream,
    () => damage(chance, stream, 3, BITS),
    () => Array.from({ length: chance.below(10) }, () => chance.of(BITS)).join(''),
  ])();
}

test('a socketmap server hears what one who has it whole does, however it is cut', () => {
  const seen = new Set<string>();
  fuzz((chance) => {
    const text = randomStream(chance, ['recipient', 'm', '', 'x y']);
    const { contents, rest } = readSlowly(text);
    const bad = contents.findIndex((content) => !content.includes(' '));
    const want = bad < 0 ? contents : contents.slice(0, bad);
    const end =
      bad >= 0 || rest === 'malformed' ? 'malformed-query' : rest === 'part' ? 'early-end' : 'closed';
    for (const pieces of cutsOf(chance, text))
      assert.deepEqual(serve(pieces), end === 'closed' ? want : [...want, end], JSON.stringify(text));
    seen.add(end);
  });
  assert.deepEqual([...seen].sort(), ['closed', 'early-end', 'malformed-query']);
});

test('a socketmap client hears what one who has it whole does, however it is cut', () => {
  const seen = new Set<string>();
  fuzz((chance) => {
    const text = randomStream(chance, ['OK', 'NOTFOUND', 'TEMP', 'TIMEOUT', 'PERM', 'ok', 'OKAY']);
    const questions = chance.below(5);
    const { contents, rest } = readSlowly(text);
    const want: string[] = [];
    let end = '';
    for (const content of contents) {
      const reply = /^(OK|NOTFOUND|TEMP|TIMEOUT|PERM)(?: ([\s\S]*))?$/.exec(content);
      if (reply === null) end = 'malformed-reply';
      else if (want.length === questions) end = 'unasked-reply';
      if (end !== '') break;
      want.push(`${reply![1]} ${reply![2] ?? ''}`);
    }
    if (end === '' && rest === 'malformed') end = 'malformed-reply';
    if (end === '' && (rest === 'part' || want.length < questions)) end = 'early-end';
    for (const pieces of cutsOf(chance, text))
      assert.deepEqual(ask(pieces, questions), end === '' ? want : [...want, end], JSON.stringify(text));
    seen.add(end);
  });
  assert.deepEqual([...seen].sort(), ['', 'early-end', 'malformed-reply', 'unasked-reply']);
});
