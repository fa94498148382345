// Notices in virtual time: reports, what senders ask to be told, how many there may be, and what a crash does to them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, concatBytes, textOf } from '../../src/core/bytes/bytes.ts';
import type { EnvelopeDsn, RecipientDsn } from '../../src/core/policy/notification.ts';
import { NOTIFY } from '../../src/core/policy/notification.ts';
import type { Outcome } from '../../src/core/policy/outcome.ts';
import { classifyRecipient } from '../../src/core/policy/recipient.ts';
import type { MessageId } from '../../src/queue/queue.ts';
import { readGroups, readQsbmf, readReportParts } from '../support/report-parts.ts';
import { DeliveryBench } from './support.ts';

const OK: Outcome = { letter: 'K', text: 'ok\n' };
const GONE: Outcome = { letter: 'D', text: 'gone (#5.1.1)\n' };
const LATER: Outcome = { letter: 'Z', text: 'later (#4.2.0)\n' };
const HOUR_MS = 3_600_000;

type Options = ConstructorParameters<typeof DeliveryBench>[0];

/** A bench that takes down its notices. */
async function started(options: Options = {}) {
  const bench = new DeliveryBench({ ...options, controls: { bounceformat: 'report', ...options?.controls } });
  const notices: { readonly to: string; readonly text: string }[] = [];
  const submit = bench.submitBounce;
  bench.submitBounce = (notice) => {
    notices.push({ to: textOf(notice.plan.recipient), text: textOf(concatBytes(notice.parts)) });
    return submit(notice);
  };
  bench.answer = (to, sender) =>
    sender === '' || sender === '#@[]' ? OK : to.startsWith('no') ? GONE : LATER;
  await bench.delivery.start();
  return { bench, notices };
}

/** Queues a message with what its sender asks about each recipient. */
function acceptAsked(
  bench: DeliveryBench,
  recipients: Readonly<Record<string, RecipientDsn | undefined>>,
  sender = 's@far.example',
): Promise<MessageId> {
  const intake = bench.queue.begin();
  void intake.write(bytesOf('Subject: t\n\nhello\n'));
  return intake.commit({
    sender: bytesOf(sender),
    dsn: { envid: 'E1' },
    recipients: Object.entries(recipients).map(([address, dsn]) => ({
      ...classifyRecipient(bytesOf(address), bench.controls),
      ...(dsn && { dsn }),
    })),
  });
}

/** Recipient and action of each group of a report. */
function actions(report: string): string[] {
  return readGroups(readReportParts(report).status.body)
    .slice(1)
    .map((fields) => {
      const values = Object.fromEntries(fields);
      return `${values['final-recipient']} ${values['action']} ${values['status']}`;
    });
}

test('a failed message is returned in a report', async () => {
  const { bench, notices } = await started();
  await bench.accept('s@far.example', ['no@far.example', 'no@mx.example']);
  await bench.settle();
  assert.deepEqual(
    notices.map(({ to }) => to),
    ['s@far.example'],
  );
  const report = readReportParts(notices[0]!.text);
  assert.deepEqual(
    readQsbmf(report.text.body)
      .map(({ recipient }) => recipient)
      .sort(),
    ['no@far.example', 'no@mx.example'],
  );
  assert.equal(report.original.body, 'Return-Path: <s@far.example>\nSubject: t\n\nhello\n');
  assert.deepEqual(actions(notices[0]!.text).sort(), [
    'rfc822; no@far.example failed 5.1.1',
    'rfc822; no@mx.example failed 5.1.1',
  ]);
  assert.deepEqual(await bench.queued(), []);
});

test('a double bounce is a report to the postmaster, about a report', async () => {
  const { bench, notices } = await started();
  bench.answer = () => GONE;
  await bench.accept('s@far.example', ['no@far.example']);
  await bench.settle();
  assert.deepEqual(
    notices.map(({ to }) => to),
    ['s@far.example', 'postmaster@mx.example'],
  );
  assert.deepEqual(actions(notices[1]!.text), ['rfc822; s@far.example failed 5.1.1']);
  const { original } = readReportParts(notices[1]!.text);
  const inner = original.body.replace(/^Return-Path: <>\nReceived: .*\n/, '');
  assert.deepEqual(actions(inner), ['rfc822; no@far.example failed 5.1.1']);
  assert.ok(bench.log.some((line) => line.startsWith('bounce id=3 kind=triple')));
  assert.deepEqual(await bench.queued(), []);
});

test('a list that asks for a sender for each recipient gets its notice in the format of qmail', async () => {
  const { bench, notices } = await started();
  await bench.accept('list-@far.example-@[]', ['no@far.example']);
  await bench.settle();
  assert.equal(notices[0]?.to, 'list-@far.example');
  assert.match(notices[0].text, /^Date: .*\nFrom: .*\nTo: .*\nSubject: failure notice\n\nHi\. This is the /);
});

test('NOTIFY=NEVER and a request without FAILURE keep a failure to the log', async () => {
  const { bench, notices } = await started();
  const id = await acceptAsked(bench, {
    'no1@far.example': { notify: 0 },
    'no2@far.example': { notify: NOTIFY.delay },
  });
  await bench.settle();
  assert.deepEqual(notices, []);
  assert.ok(bench.log.includes(`bounce.unwanted id=${id} recipients=2`));
  assert.deepEqual(await bench.queued(), []);
});

test('a report tells of those only whose failure is wanted', async () => {
  const { bench, notices } = await started();
  await acceptAsked(bench, {
    'no1@far.example': { notify: 0 },
    'no2@far.example': { notify: NOTIFY.failure, orcpt: 'rfc822;two@x' },
    'no3@far.example': undefined,
  });
  await bench.settle();
  const [{ text } = { text: '' }] = notices;
  assert.deepEqual(actions(text), [
    'rfc822; no2@far.example failed 5.1.1',
    'rfc822; no3@far.example failed 5.1.1',
  ]);
  assert.match(text, /\nOriginal-Envelope-Id: E1\n/);
  assert.match(text, /\nOriginal-Recipient: rfc822; two@x\nFinal-Recipient: rfc822; no2@/);
});

test('a delay is told once to who asked for it, when the message is old enough, and again never, over restarts too', async () => {
  const { bench, notices } = await started({ controls: { delaywarning: 3600 } });
  const asked = { notify: NOTIFY.delay | NOTIFY.failure };
  await acceptAsked(bench, { 'slow1@far.example': asked, 'slow2@far.example': undefined });
  await bench.settle();
  for (let minute = 0; minute < 55; minute++) await bench.advance(60_000);
  assert.equal(notices.length, 0);
  for (let minute = 0; minute < 10; minute++) await bench.advance(60_000);
  assert.deepEqual(
    notices.map(({ to, text }) => [to, ...actions(text)]),
    [['s@far.example', 'rfc822; slow1@far.example delayed 4.2.0']],
  );
  assert.match(notices[0]!.text, /\nSubject: delay notice\n/);
  await bench.delivery.stop();
  const next = await started({
    storage: bench.storage,
    clock: bench.clock,
    controls: { delaywarning: 3600 },
  });
  for (let hour = 0; hour < 12; hour++) await next.bench.advance(HOUR_MS);
  assert.equal(next.notices.length, 0);
  assert.equal((await next.bench.queued()).length, 1);
});

test('a delay is told of with delaywarning 0 never', async () => {
  const { bench, notices } = await started({ controls: { delaywarning: 0 } });
  await acceptAsked(bench, { 'slow@far.example': { notify: NOTIFY.delay } });
  for (let hour = 0; hour < 12; hour++) await bench.advance(HOUR_MS);
  assert.equal(notices.length, 0);
});

test('success is told to who asked for it: delivered here, relayed to a host that will not tell', async () => {
  const { bench, notices } = await started();
  bench.answer = () => OK;
  const success = { notify: NOTIFY.success };
  await acceptAsked(bench, {
    'here@mx.example': success,
    'far@far.example': success,
    'quiet@far.example': { notify: NOTIFY.failure },
  });
  await bench.settle();
  assert.deepEqual(notices.flatMap(({ text }) => actions(text)).sort(), [
    'rfc822; far@far.example relayed 2.0.0',
    'rfc822; here@mx.example delivered 2.0.0',
  ]);
  assert.ok(notices.every(({ text }) => /\nSubject: success notice\n/.test(text)));
  assert.deepEqual(await bench.queued(), []);
});

test('a host that tells itself gets the request, and nobody is told here', async () => {
  const { bench, notices } = await started();
  const seen: (EnvelopeDsn | undefined)[] = [];
  bench.network = async ({ dsn, recipients }) => {
    seen.push(dsn);
    return { outcomes: recipients.map(() => OK), contact: 'answered', passedOn: true };
  };
  const dsn = { notify: NOTIFY.success, orcpt: 'rfc822;x@y' };
  await acceptAsked(bench, { 'far@far.example': dsn, 'other@far.example': undefined });
  await bench.settle();
  assert.deepEqual(seen, [{ message: { envid: 'E1' }, recipients: [dsn, undefined] }]);
  assert.deepEqual(notices, []);
});

test('who has no sender is told nothing but failures', async () => {
  for (const sender of ['', '#@[]']) {
    const { bench, notices } = await started();
    bench.answer = () => OK;
    await acceptAsked(bench, { 'here@mx.example': { notify: NOTIFY.success } }, sender);
    await bench.settle();
    assert.deepEqual(notices, []);
  }
});

test('a verdict waits for the notice about it, and is written with the next attempt to queue that', async () => {
  const { bench, notices } = await started();
  bench.answer = () => OK;
  const submit = bench.submitBounce;
  bench.submitBounce = () => Promise.reject(new Error('disk full'));
  await acceptAsked(bench, { 'here@mx.example': { notify: NOTIFY.success } });
  await bench.settle();
  assert.equal((await bench.queued()).length, 1);
  bench.submitBounce = submit;
  await bench.advance(123_000);
  assert.equal(notices.length, 1);
  assert.deepEqual(bench.delivered, ['here@mx.example']);
  assert.deepEqual(await bench.queued(), []);
});

for (const [what, notify] of [
  ['success', NOTIFY.success],
  ['delay', NOTIFY.delay],
] as const)
  test(`a crash between a notice of ${what} and its verdict makes one more notice, and then none`, async () => {
    const controls = { delaywarning: 1 };
    const wrapQueue = (queue: DeliveryBench['queue']) => {
      const settle = queue.settle.bind(queue);
      queue.settle = (job, verdicts, nextDueMs) =>
        job.id === 1 && verdicts.length > 0 ? new Promise(() => undefined) : settle(job, verdicts, nextDueMs);
      return queue;
    };
    const first = await started({ controls, wrapQueue });
    const answer = () => (what === 'success' ? OK : LATER);
    first.bench.answer = (_, sender) => (sender === '' ? OK : answer());
    await acceptAsked(first.bench, { 'ann@far.example': { notify } });
    await first.bench.settle();
    await first.bench.advance(400_000);
    assert.equal(first.notices.length, 1);
    const second = await started({ controls, storage: first.bench.storage, clock: first.bench.clock });
    second.bench.answer = first.bench.answer;
    await second.bench.settle();
    for (let hour = 0; hour < 6; hour++) await second.bench.advance(HOUR_MS);
    assert.equal(second.notices.length, 1);
    assert.equal((await second.bench.queued()).length, what === 'success' ? 0 : 1);
  });

test('ten thousand failing messages of one sender make no storm, and each is told of', async () => {
  const { bench, notices } = await started();
  const count = 10_000;
  for (let i = 0; i < count; i++) await bench.accept('app@far.example', [`no${i}@mx.example`]);
  while (bench.log.filter((line) => line.startsWith('delivery.failure')).length < count) await bench.settle();
  await bench.settle();
  // A hundred by themselves, and a thousand together nine times.
  assert.equal(notices.length, 109);
  assert.equal((await bench.queued()).length, 900);
  await bench.advance(HOUR_MS);
  assert.equal(notices.length, 110);
  const told = notices.flatMap(({ text }) => {
    const body = text.includes('multipart/report')
      ? readReportParts(text).text.body
      : text.slice(text.indexOf('\n\n') + 2);
    return readQsbmf(body).map(({ recipient }) => recipient);
  });
  assert.equal(new Set(told).size, count);
  assert.equal(told.length, count);
  assert.deepEqual(await bench.queued(), []);
  assert.equal(bench.log.filter((line) => line.startsWith('bounce ')).length, count);
});

test('a flood of forged senders is limited in all, and what waits is told of later, a message alone in full', async () => {
  const { bench, notices } = await started({ controls: { bouncerate: 2, bouncerateall: 3 } });
  for (const sender of ['a', 'a', 'a', 'A', 'b', 'c', 'd', 'e', 'f'])
    await bench.accept(`${sender}@far.example`, ['no@mx.example']);
  await bench.settle();
  const kind = (text: string) => (text.includes('multipart') ? 'alone' : 'together');
  const to = () =>
    notices
      .splice(0)
      .map((one) => `${one.to} ${kind(one.text)}`)
      .sort();
  assert.deepEqual(to(), ['a@far.example alone', 'a@far.example alone', 'b@far.example alone']);
  await bench.advance(HOUR_MS);
  assert.deepEqual(to(), ['a@far.example together', 'c@far.example alone', 'd@far.example alone']);
  await bench.advance(HOUR_MS);
  assert.deepEqual(to(), ['e@far.example alone', 'f@far.example alone']);
  assert.deepEqual(await bench.queued(), []);
});

test('what waits to be told of is found again after a restart', async () => {
  const controls = { bouncerate: 1 };
  const { bench } = await started({ controls });
  for (let i = 0; i < 4; i++) await bench.accept('s@far.example', [`no${i}@mx.example`]);
  await bench.settle();
  await bench.delivery.stop();
  assert.equal((await bench.queued()).length, 3);
  const next = await started({ storage: bench.storage, clock: bench.clock, controls });
  await next.bench.settle();
  await next.bench.advance(HOUR_MS);
  assert.equal(next.notices.length, 2);
  assert.match(next.notices[1]!.text, /\n--- These were 2 messages; no copies follow\.\n$/);
  assert.deepEqual(await next.bench.queued(), []);
});

test('trouble with the queue after a notice makes no second one', async () => {
  const { bench, notices } = await started();
  const remove = bench.queue.remove.bind(bench.queue);
  bench.queue.remove = () => Promise.reject(new Error('disk full'));
  await bench.accept('s@far.example', ['no@mx.example']);
  await bench.settle();
  assert.ok((await bench.queued()).some(({ id }) => id === 1));
  bench.queue.remove = remove;
  await bench.advance(123_000);
  assert.equal(notices.length, 1);
  assert.deepEqual(await bench.queued(), []);
});
