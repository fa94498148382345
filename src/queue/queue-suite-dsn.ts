// The part of the shared suite (queue-suite.ts) about what senders ask to be told: kept with the message, wherever it is shown.

import assert from 'node:assert/strict';
import { bytesOf } from '../core/bytes/bytes.ts';
import { NOTIFY } from '../core/policy/notification.ts';
import type { Envelope, MessageId, Queue, Recipient } from './queue.ts';
import { accept, type Declare } from './queue-suite-bench.ts';

const MESSAGE = { ret: 'hdrs', envid: 'QQ+2B314159' } as const;
const FIRST = { notify: NOTIFY.success + NOTIFY.delay, orcpt: 'rfc822;first+40elsewhere' };
const NEVER = { notify: 0 };

function remote(address: string, dsn?: Recipient['dsn']): Recipient {
  return { channel: 'remote', address: bytesOf(address), ...(dsn && { dsn }) };
}

const RECIPIENTS = [remote('first@far', FIRST), remote('plain@far'), remote('never@near', NEVER)];

async function submit(queue: Queue, envelope: Omit<Envelope, 'sender'>): Promise<MessageId> {
  const intake = queue.begin();
  // Longer than what some stores keep in a journal.
  await intake.write(bytesOf('x'.repeat(100)));
  return intake.commit({ sender: bytesOf('s@a'), ...envelope });
}

/** Declares the tests. */
export function declareDsn(test: Declare): void {
  test('a job says what its sender asked, before and after a restart', async ({ clock, queue, reopen }) => {
    await submit(queue(), { recipients: RECIPIENTS, dsn: MESSAGE });
    for (let round = 0; round < 3; round++) {
      const jobs = await queue().claim('remote', clock.nowMs(), 9);
      const asked = jobs.flatMap((job) => job.recipients.map(({ index, dsn }) => [index, dsn, job.dsn]));
      asked.sort(([a], [b]) => Number(a) - Number(b));
      assert.deepEqual(asked, [
        [0, FIRST, MESSAGE],
        [1, undefined, MESSAGE],
        [2, NEVER, MESSAGE],
      ]);
      await reopen();
    }
  });

  test('a failure and a finished message say it too', async ({ clock, queue, reopen }) => {
    const id = await submit(queue(), { recipients: RECIPIENTS.slice(0, 2), dsn: MESSAGE });
    const [job] = await queue().claim('remote', clock.nowMs(), 9);
    const failed = { state: 'failed', report: 'no' } as const;
    const { failures } = await queue().settle(
      job!,
      [0, 1].map((index) => ({ index, ...failed })),
      5,
    );
    assert.deepEqual(
      failures.map(({ dsn }) => dsn),
      [FIRST, undefined],
    );
    await reopen();
    const [finished] = await queue().finished();
    assert.deepEqual([finished?.id, finished?.dsn], [id, MESSAGE]);
    assert.deepEqual(
      finished?.failures.map(({ dsn }) => dsn),
      [FIRST, undefined],
    );
  });

  test('a recipient whose sender was told of a delay is still to do, and does not ask for that again', async (bench) => {
    const { clock, queue, reopen } = bench;
    const id = await submit(queue(), { recipients: RECIPIENTS.slice(0, 2), dsn: MESSAGE });
    for (let round = 0; round < 2; round++) {
      const [job] = await queue().claim('remote', clock.nowMs(), 9);
      const warned = { index: 0, state: 'warned' } as const;
      await queue().settle(job!, [warned], clock.nowMs());
      await reopen();
    }
    const [job] = await queue().claim('remote', clock.nowMs(), 9);
    assert.deepEqual(job?.recipients[0]?.dsn, { ...FIRST, notify: NOTIFY.success });
    assert.deepEqual(
      (await queue().find(id))?.recipients.map(({ state, dsn }) => [state, dsn?.notify]),
      [
        ['todo', NOTIFY.success],
        ['todo', undefined],
      ],
    );
  });

  test('a list shows it, of the message alone or of recipients alone too', async ({ queue, reopen }) => {
    const first = await submit(queue(), { recipients: [remote('a@b')], dsn: { ret: 'full' } });
    const second = await submit(queue(), { recipients: [remote('a@b', NEVER)] });
    const third = await accept(queue(), 'x', 's', 'remote:a@b');
    await reopen();
    const [one, two, three] = [
      await queue().find(first),
      await queue().find(second),
      await queue().find(third),
    ];
    assert.deepEqual([one?.dsn, one?.recipients[0]?.dsn], [{ ret: 'full' }, undefined]);
    assert.deepEqual(two?.recipients[0]?.dsn, NEVER);
    assert.deepEqual([three?.dsn, three?.recipients[0]?.dsn], [undefined, undefined]);
  });

  test('commitOnce() keeps it, and the fingerprint', async ({ clock, queue, reopen }) => {
    const envelope = { sender: bytesOf('s@a'), recipients: RECIPIENTS, dsn: MESSAGE };
    const fingerprint = '\0fingerprint\xff n1';
    const { id } = await queue().begin().commitOnce(envelope, fingerprint);
    await reopen();
    assert.deepEqual(await queue().begin().commitOnce(envelope, fingerprint), { id, isResubmission: true });
    const [job] = await queue().claim('remote', clock.nowMs(), 9);
    assert.deepEqual([job?.dsn, job?.recipients[0]?.dsn], [MESSAGE, FIRST]);
  });
}
