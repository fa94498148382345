// The delivery side against what qmail-send was observed to do with the same control files, messages and answers: which
// deliveries with which sender, what each ended with, which bounce, and what stays in the queue until when.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesOf, concatBytes, textOf } from '../../src/core/bytes/bytes.ts';
import { formatParagraph } from '../../src/core/policy/bounce.ts';
import type { Outcome } from '../../src/core/policy/outcome.ts';
import { outcomeOfRemote } from '../../src/core/policy/rspawn-report.ts';
import type { DeliveryControls } from '../../src/delivery/delivery-controls.ts';
import { LiveControls } from '../../src/hub/live-controls.ts';
import { QmailLog } from '../../src/hub/qmail-log.ts';
import { asQmailNotice, readReportParts } from '../support/report-parts.ts';
import { DeliveryBench } from './support.ts';

interface Vector {
  readonly name: string;
  readonly control: Readonly<Record<string, string>>;
  readonly home_files: Readonly<Record<string, string>>;
  readonly remote_reports: Readonly<Record<string, string>>;
  readonly inject: readonly { readonly sender: string; readonly recipients: readonly string[] }[];
  readonly message: string;
  readonly alrm_after_s?: number;
  readonly interleaving?: boolean;
  /** Control files that are other ones from now on. */
  readonly hup_before_inject?: Readonly<Record<string, string>>;
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
      /** Paragraphs of the bounce so far. */
      readonly bounce?: string;
      readonly local_next_retry_after_birth?: number;
      readonly remote_next_retry_after_birth?: number;
    }[];
  };
}

const VECTORS: readonly Vector[] = JSON.parse(
  readFileSync(new URL('../vectors/qmail-send.json', import.meta.url), 'utf8'),
);

/** What qmail-queue put on top of the messages. */
const TRACE = 'Received: (qmail @QP@ invoked by uid @UID@); @DATE@\n';

type ControlFiles = Readonly<Record<string, string>>;

/** What a hub goes by that started with these files and was told to read others. */
function readControls(files: ControlFiles, others: ControlFiles = {}): DeliveryControls {
  const home = mkdtempSync(join(tmpdir(), 'controls-'));
  const write = (written: ControlFiles) => {
    for (const [name, content] of Object.entries(written))
      writeFileSync(join(home, 'control', name), content, 'latin1');
  };
  try {
    mkdirSync(join(home, 'control'));
    write(files);
    const controls = new LiveControls(home, undefined);
    write(others);
    controls.reload();
    return controls.delivery;
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

/** What is made of qmail-remote's reports for one recipient. */
function remoteAnswer(vector: Vector, recipient: string): Outcome {
  return outcomeOfRemote(0, bytesOf(vector.remote_reports[recipient]!));
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

async function run(vector: Vector, bounceformat = 'qmail') {
  const lines: string[] = [];
  const writeLine = (line: string) => void lines.push(line.replace(/\n$/, ''));
  const log = new QmailLog({ writeLine, uid: 0, later: setImmediate });
  const controls = readControls(
    { bounceformat: `${bounceformat}\n`, ...vector.control },
    vector.hup_before_inject,
  );
  const bench = new DeliveryBench({ controls, alsoLog: log });
  log.write('delivery.limits', { local: controls.concurrencylocal, remote: controls.concurrencyremote });
  const bounces: { message: string; sender: string; recipients: string[] }[] = [];
  bench.submitBounce = async ({ plan, parts }) => {
    const text = textOf(concatBytes(parts));
    bounces.push({
      message: text.replace(/^Date: \d+ \w{3} \d{4} [\d:]{8} -0000\n/, 'Date: @DATE@\n'),
      sender: textOf(plan.sender),
      recipients: [textOf(plan.recipient)],
    });
    return 0;
  };
  bench.answer = (address, _, channel) =>
    channel === 'local' ? localAnswer(vector, address) : remoteAnswer(vector, address);
  await bench.delivery.start();
  for (const { sender, recipients } of vector.inject) {
    const body = TRACE + vector.message;
    const id = await bench.accept(sender, recipients, body);
    const facts = { sender: bytesOf(sender), recipients: recipients.length, bytes: body.length };
    log.write('accepted', { id, pid: 1, uid: 1, ...facts });
    await bench.settle();
  }
  // There, a signal made everything due; here, time goes on until it is.
  if (vector.alrm_after_s !== undefined) await bench.advance(400_000);
  await bench.delivery.stop();
  log.write('hub.stopped', {});
  log.flush();
  return { bench, bounces, lines };
}

for (const vector of VECTORS) {
  test(`qmail-send: ${vector.name}`, async () => {
    const { bench, bounces, lines } = await run(vector);
    const deliveries = bench.log.flatMap((line) => {
      const match =
        /^delivery\.(\w+) id=\d+ channel=(\w+) recipient=(.*) text=(.*?) ms=\d+(?: \w+=.*)?$/.exec(line);
      return match === null ? [] : [`${match[2]} ${safe(match[3]!)} ${match[1]} ${safe(match[4]!)}`];
    });
    assert.deepEqual(deliveries.sort(), expectedDeliveries(vector.expect.log).sort());
    const shape = isTogether(vector) ? withoutOrder : (log: readonly string[]) => log;
    assert.deepEqual(shape(normalise(lines)), shape(vector.expect.log));
    assert.deepEqual(sortParagraphs(bounces), sortParagraphs(vector.expect.queue));
    const calls = bench.transactions.flatMap(({ sender, recipients }) =>
      recipients.map((recipient) => [recipient.slice(recipient.lastIndexOf('@') + 1), sender, recipient]),
    );
    assert.deepEqual(calls.sort(), [...vector.expect.remote_calls].sort());
    const left = (await bench.queued()).map(({ id, recipients, due, birthMs }) => {
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
        bounce: bounceSoFar(bench, id),
        localNext: due.local === undefined ? undefined : (due.local - birthMs) / 1000,
        remoteNext: due.remote === undefined ? undefined : (due.remote - birthMs) / 1000,
      };
    });
    const wanted = vector.expect.left_in_queue.map((one) => ({
      local: one.local ?? '',
      remote: one.remote ?? '',
      bounce: one.bounce ?? '',
      localNext: one.local_next_retry_after_birth,
      remoteNext: one.remote_next_retry_after_birth,
    }));
    assert.deepEqual(left, wanted);
  });
}

for (const vector of VECTORS.filter(({ expect }) => expect.queue.length > 0)) {
  test(`qmail-send: the text inside the report of ${vector.name}`, async () => {
    const { bounces } = await run(vector, 'report');
    const texts = bounces.map((bounce) =>
      bounce.message.includes('\nMIME-Version: 1.0\n')
        ? { ...bounce, message: asQmailNotice(readReportParts(bounce.message)) }
        : bounce,
    );
    assert.deepEqual(sortParagraphs(texts), sortParagraphs(vector.expect.queue));
  });
}

/** What would be in the notice of a message of which something is left to do. */
function bounceSoFar({ storage, controls }: DeliveryBench, id: number): string {
  const failures = storage.messages.get(id)?.entry.failures ?? [];
  return failures.map((failure) => textOf(formatParagraph(failure, controls.virtualdomains))).join('');
}

/** Our lines with placeholders as the vectors have them, without those of the notices, which were not queued there. */
function normalise(lines: readonly string[]): string[] {
  const ids = lines.flatMap((line) => /^new msg ([1-9]\d*)$/.exec(line)?.[1] ?? []);
  return lines
    .filter((line) => !/^(?:new|info) msg 0\b/.test(line))
    .map((line) =>
      line
        .replace(/\b(msg |bounce\/)(\d+)/, (_, word, id) => `${word}@N${ids.indexOf(id) + 1}@`)
        .replace(/bytes \d+ from/, 'bytes @BYTES@ from')
        .replace(/qp \d+/, 'qp @QP@')
        .replace(/uid \d+$/, 'uid @UID@'),
    );
}

/** Whether ours are not one after the other: channels run at the same time, remote recipients begin together. */
function isTogether({ interleaving, expect }: Vector): boolean {
  const channels = expect.log.flatMap((line) => / to (local|remote) /.exec(line)?.[1] ?? []);
  const remote = channels.filter((channel) => channel === 'remote').length;
  return interleaving === true || remote > 1 || (remote > 0 && remote < channels.length);
}

/** What must be in a log in whatever order: everything but numbers of deliveries and the status lines. */
function withoutOrder(log: readonly string[]): string[] {
  return log
    .filter((line) => !line.startsWith('status: local'))
    .map((line) => line.replace(/delivery \d+/, 'delivery'))
    .sort();
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
