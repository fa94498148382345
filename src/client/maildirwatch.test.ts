// The picture that maildirwatch draws, and when; in this process, with a clock that the test turns.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ManualClock } from '../host/manual-clock.ts';
import { Environment } from '../host/raw-arguments.ts';
import { runMaildirwatch } from './maildirwatch.ts';

const CLEAR = '\x1b[;H\x1b[;J';

/** Runs rounds over the messages, given in order of time, until the Maildir is gone; what was printed in each. */
async function watch(messages: readonly string[], rounds: number): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'maildirwatch-'));
  const clock = new ManualClock();
  for (const part of ['new', 'cur', 'tmp']) mkdirSync(join(folder, part));
  messages.forEach((message, i) => {
    const path = join(folder, 'new', `${messages.length - i}`);
    writeFileSync(path, message, 'latin1');
    utimesSync(path, 1_000_000, 1_000_000 + i);
  });
  writeFileSync(join(folder, 'new', 'later'), 'Subject: later\n');
  const pictures: string[] = [];
  const write = (bytes: Uint8Array) => {
    pictures.push(Buffer.from(bytes).toString('latin1'));
    if (pictures.length === rounds) return rmSync(folder, { recursive: true });
    // The next round waits for the clock by then.
    setImmediate(() => clock.advance(30_000));
  };
  const env = new Environment({ MAILDIR: folder });
  const end = runMaildirwatch({ args: [], env }, { clock, write });
  while (pictures.length < rounds) await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(clock.nextTimerMs(), 1_000_000_000_000 + 30_000 * rounds);
  void end;
  return pictures;
}

test('maildirwatch shows sender, recipient, From field, subject and body', async () => {
  const message =
    'Return-Path: <s@x>\nDelivered-To: joe@x.y\nFrom: Sam <s@x>\nSubject: Hello\n\nfirst line\n';
  assert.deepEqual(await watch([message], 1), [
    `${CLEAR}FROM <s@x> TO <joe@x.y>\n\x1b[1mFrom: Sam <s@x>\x1b[0m\nHello//first line/\n\n`,
  ]);
});

test('maildirwatch draws anew every 30 seconds, oldest message first, and leaves the present second out', async () => {
  const picture = `${CLEAR}FROM ? TO <?>\none//\n\nFROM ? TO <?>\ntwo//\n\n`;
  assert.deepEqual(await watch(['Subject: one\n\n', 'Subject: two\n\n'], 3), [picture, picture, picture]);
});

test('maildirwatch sends nothing to the terminal that could steer it, and cuts long texts', async () => {
  const [picture] = await watch(
    [`Return-Path: <a\x1b\xff>\nDelivered-To:\nFrom: \x1b[2J\nSubject: a\n \tb\x07\n\n${'x'.repeat(9000)}`],
    1,
  );
  const text = `a/ /b///${'x'.repeat(150)}`;
  assert.equal(picture, `${CLEAR}FROM <a??> TO <?>\n\x1b[1mFrom: /[2J\x1b[0m\n${text}\n\n`);
});
