// The delivery side against what qmail-send was observed to do with the same control files, messages and answers: which
// deliveries with which sender, what each ended with, which bounce, and what stays in the queue until when.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { textOf } from '../../src/core/bytes/bytes.ts';
import type { Outcome, OutcomeLetter } from '../../src/core/policy/outcome.ts';
import { type DeliveryControls, readDeliveryControls } from '../../src/delivery/delivery-controls.ts';
import { DeliveryBench } from './support.ts';

interface Vector {
  readonly name: string;
  readonly control: Readonly<Record<string, string>>;
  readonly home_files: Readonly<Record<string, string>>;
  readonly remote_reports: Readonly<Record<string, string>>;
  readonly inject: readonly { readonly sender: string; readonly recipients: readonly string[] }[];
  readonly message: string;
  readonly alrm_after_s?: number;
  readonly expect: {
    readonly log: readonly string[];
    readonly queue: readonly {
      readonly message: string;
      readonly sender: string;
      readonly recipients: string[];
    }[];
    readonly remote_calls: readonly (readonly [string, string, string])[];
    readonly left_in_queue: readonly {
      readonly local?: string;
      readonly remote?: string;
      readonly local_next_retry_after_birth?: number;
      readonly remote_next_retry_after_birth?: number;
    }[];
  };
}

const VECTORS: readonly Vector[] = JSON.parse(
  readFileSync(new URL('../vectors/qmail-send.json', import.meta.url), 'utf8'),
);

/** Vectors that are about something else. */
const OTHER: Readonly<Record<string, string>> = {
  'remote-odd-output': 'no qmail-remote process answers that could say odd things',
  'hup-rereads-locals': 'control files are not read again while running',
};

/** What qmail-queue put on top of the messages. */
const TRACE = 'Received: (qmail @QP@ invoked by uid @UID@); @DATE@\n';

function readControls(files: Readonly<Record<string, string>>): DeliveryControls {
  const home = mkdtempSync(join(tmpdir(), 'controls-'));
  try {
    mkdirSync(join(home, 'control'));
    for (const [name, content] of Object.entries(files))
      writeFileSync(join(home, 'control', name), content, 'latin1');
    return readDeliveryControls(home);
  } finally {
    rmSync(home, { recursive: true });
  }
}

/** What user joe's files make of a local address: a mailbox, or `|echo TEXT; exit CODE`. */
function localAnswer(vector: Vector, address: string): Outcome {
  const local = address.slice(0, address.lastIndexOf('@')).toLowerCase();
  if (local === '') return { letter: 'K', text: '' };
  const extension = local === 'joe' ? '' : local.startsWith('joe-') ? local.slice(3) : undefined;
  const file = extension === undefined ? undefined : vector.home_files[`.qmail${extension}`];
  const line = file ?? (extension === '' ? './Mailbox' : extension && vector.home_files['.qmail-default']);
  if (line === undefined) return { letter: 'D', text: 'Sorry, no mailbox here by that name. (#5.1.1)\n' };
  const program = /^\|echo (.*); exit (\d+)$/m.exec(line);
  if (program === null) return { letter: 'K', text: 'did 1+0+0\n' };
  return { letter: program[2] === '100' ? 'D' : 'Z', text: `${program[1]}\n` };
}

/** What qmail-rspawn makes of qmail-remote's reports for one recipient. */
function remoteAnswer(vector: Vector, recipient: string): Outcome {
  const [first = '', second = ''] = vector.remote_reports[recipient]!.split('\0');
  if (first === 'r') return { letter: second.charAt(0) as OutcomeLetter, text: second.slice(1) };
  const letter = first.startsWith('h')
    ? 'D'
    : first.startsWith('s')
      ? 'Z'
      : (first.charAt(0) as OutcomeLetter);
  return { letter, text: first.slice(1) + second.slice(1) };
}

/** A value of our log as qmail's log shows it. */
function safe(value: string): string {
  return value.replace(/^"(.*)"$/, '$1').replace(/[^\x21-\x7e]|%/g, '_');
}

/** `channel recipient kind text` of each delivery in qmail-send's log. */
function expectedDeliveries(log: readonly string[]): string[] {
  const started = new Map<string, string>();
  return log.flatMap((line) => {
    const start = /^starting delivery (\d+): msg \S+ to (local|remote) (.*)$/.exec(line);
    if (start !== null) started.set(start[1]!, `${start[2]} ${start[3]}`);
    const end = /^delivery (\d+): (success|failure|deferral): (.*)$/.exec(line);
    return end === null ? [] : [`${started.get(end[1]!)} ${end[2]} ${end[3]}`];
  });
}

async function run(vector: Vector) {
  const bench = new DeliveryBench({ controls: readControls(vector.control) });
  const bounces: { message: string; sender: string; recipients: string[] }[] = [];
  bench.submitBounce = async ({ plan, notice, message }) => {
    const text = textOf(notice).replace(/^Date: \d+ \w{3} \d{4} [\d:]{8} -0000\n/, 'Date: @DATE@\n');
    bounces.push({
      message: text + textOf(message),
      sender: textOf(plan.sender),
      recipients: [textOf(plan.recipient)],
    });
    return 0;
  };
  bench.answer = (address, _, channel) =>
    channel === 'local' ? localAnswer(vector, address) : remoteAnswer(vector, address);
  await bench.delivery.start();
  for (const { sender, recipients } of vector.inject) {
    await bench.accept(sender, recipients, TRACE + vector.message);
    await bench.settle();
  }
  // There, a signal made everything due; here, time goes on until it is.
  if (vector.alrm_after_s !== undefined) await bench.advance(400_000);
  await bench.delivery.stop();
  return { bench, bounces };
}

for (const vector of VECTORS) {
  if (vector.name in OTHER) continue;
  test(`qmail-send: ${vector.name}`, async () => {
    const { bench, bounces } = await run(vector);
    const deliveries = bench.log.flatMap((line) => {
      const match = /^delivery\.(\w+) id=\d+ channel=(\w+) recipient=(.*) text=(.*) ms=\d+$/.exec(line);
      return match === null ? [] : [`${match[2]} ${safe(match[3]!)} ${match[1]} ${safe(match[4]!)}`];
    });
    assert.deepEqual(deliveries.sort(), expectedDeliveries(vector.expect.log).sort());
    assert.deepEqual(sortParagraphs(bounces), sortParagraphs(vector.expect.queue));
    const calls = bench.transactions.flatMap(({ sender, recipients }) =>
      recipients.map((recipient) => [recipient.slice(recipient.lastIndexOf('@') + 1), sender, recipient]),
    );
    assert.deepEqual(calls.sort(), [...vector.expect.remote_calls].sort());
    const left = (await bench.queued()).map(({ recipients, due, birthMs }) => {
      // As qmail-send's files: a record for each recipient, and no file when none is left to do.
      const file = (channel: string) => {
        const records = recipients
          .filter((one) => one.channel === channel)
          .map(({ state, address }) => `${state === 'todo' ? 'T' : 'D'}${textOf(address)}\0`);
        return records.some((record) => record.startsWith('T')) ? records.join('') : '';
      };
      return {
        local: file('local'),
        remote: file('remote'),
        localNext: due.local === undefined ? undefined : (due.local - birthMs) / 1000,
        remoteNext: due.remote === undefined ? undefined : (due.remote - birthMs) / 1000,
      };
    });
    const wanted = vector.expect.left_in_queue.map((one) => ({
      local: one.local ?? '',
      remote: one.remote ?? '',
      localNext: one.local_next_retry_after_birth,
      remoteNext: one.remote_next_retry_after_birth,
    }));
    assert.deepEqual(left, wanted);
  });
}

/** Bounces with their paragraphs in one order: channels run at the same time. */
function sortParagraphs(bounces: readonly { readonly message: string }[]) {
  return bounces.map((bounce) => {
    const [head = '', ...rest] = bounce.message.split('\n--- Below');
    const [intro = '', ...paragraphs] = head.split('\n\n<');
    return { ...bounce, message: [intro, ...paragraphs.sort()].join('\n\n<') + rest.join('\n--- Below') };
  });
}

test('readDeliveryControls() fails when nothing names this host', () => {
  assert.throws(() => readControls({}), /control\/me/);
  assert.throws(() => readControls({ locals: 'a\n' }), /control\/me/);
  assert.equal(readControls({ locals: 'a\n', helohost: 'h\n' }).helohost, 'h');
});
