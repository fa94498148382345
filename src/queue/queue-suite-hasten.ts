// The part of the shared suite (queue-suite.ts) about making everything due at once.

import assert from 'node:assert/strict';
import { accept, addresses, type Declare, ids } from './queue-suite-bench.ts';

/** Declares the tests. */
export function declareHasten(test: Declare): void {
  test('hasten() makes everything that waits due, on both channels and for every destination', async ({
    queue,
    clock,
  }) => {
    const first = await accept(
      queue(),
      'one',
      's',
      'local:a@here',
      'remote:b@x.example',
      'remote:c@y.example',
    );
    const second = await accept(queue(), 'two', 's', 'remote:d@x.example');
    const nowMs = clock.nowMs();
    for (const channel of ['local', 'remote'] as const) {
      for (const job of await queue().claim(channel, nowMs, 10))
        await queue().settle(job, [], nowMs + 400_000);
    }
    assert.equal(queue().nextDueMs('local'), nowMs + 400_000);
    assert.deepEqual(await queue().claim('remote', nowMs, 10), []);

    let woken = 0;
    queue().onDue(() => woken++);
    await queue().hasten(nowMs + 5);

    assert.ok(woken > 0);
    assert.equal(queue().nextDueMs('local'), nowMs + 5);
    assert.equal(queue().nextDueMs('remote'), nowMs + 5);
    assert.deepEqual(ids(await queue().claim('local', nowMs + 5, 10)), [first]);
    const remote = await queue().claim('remote', nowMs + 5, 10);
    assert.deepEqual(ids(remote).sort(), [first, first, second]);
    assert.deepEqual(remote.flatMap(addresses).sort(), [
      [0, 'd@x.example'],
      [1, 'b@x.example'],
      [2, 'c@y.example'],
    ]);
  });

  test('hasten() leaves alone what is due before a given time', async ({ queue, clock }) => {
    const nowMs = clock.nowMs();
    for (const [name, dueMs] of [
      ['near', nowMs + 5000],
      ['far', nowMs + 90_000],
    ] as const) {
      await accept(queue(), name, 's', `remote:u@${name}.example`);
      const [job] = await queue().claim('remote', nowMs, 1);
      await queue().settle(job!, [], dueMs);
    }
    await queue().hasten(nowMs, nowMs + 60_000);
    assert.deepEqual((await queue().claim('remote', nowMs, 10)).flatMap(addresses), [[0, 'u@far.example']]);
    assert.equal(queue().nextDueMs('remote'), nowMs + 5000);
  });

  test('hasten() hands nothing out twice and puts nothing off', async ({ queue, clock }) => {
    const nowMs = clock.nowMs();
    await accept(queue(), 'out', 's', 'remote:a@x.example');
    const [job] = await queue().claim('remote', nowMs, 1);
    const waiting = await accept(queue(), 'due', 's', 'remote:b@x.example');
    await queue().hasten(nowMs + 1000);
    assert.equal(queue().nextDueMs('remote'), nowMs);
    assert.deepEqual(ids(await queue().claim('remote', nowMs + 1000, 10)), [waiting]);
    await queue().settle(job!, [], nowMs + 400_000);
    assert.equal(queue().nextDueMs('remote'), nowMs + 400_000);
  });
}
