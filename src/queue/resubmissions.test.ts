import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock } from '../host/manual-clock.ts';
import { type ResubmissionLimits, Resubmissions, type Seen } from './resubmissions.ts';

const DAY_MS = 86_400_000;
const name = (i: number) => `fingerprint ${String(i).padStart(4, '0')}`;

function create(limits: Partial<ResubmissionLimits> = {}) {
  const clock = new ManualClock();
  const events: string[] = [];
  const log = { write: (event: string) => void events.push(event) };
  const resubmissions = new Resubmissions({ windowMs: DAY_MS, countMax: 100, ...limits }, clock, log);
  const note = (i: number, segment = 1) =>
    resubmissions.note({ fingerprint: name(i), id: i, atMs: clock.nowMs() }, segment);
  const isKnown = async (i: number) =>
    (await resubmissions.once(name(i), () => Promise.resolve(-1))).isResubmission;
  return { clock, events, resubmissions, note, isKnown };
}

describe('Resubmissions', () => {
  it('keeps the newest, as many as it may', async () => {
    const { resubmissions, note, isKnown } = create({ countMax: 3 });
    for (let i = 1; i <= 10; i++) note(i);
    const known = [];
    for (let i = 1; i <= 10; i++) if (await isKnown(i)) known.push(i);
    assert.deepEqual(known, [8, 9, 10]);
    assert.equal(resubmissions.recognised, 3);
  });

  it('takes up no room twice for a message that it is told of again', async () => {
    const { note, isKnown } = create({ countMax: 2 });
    note(1);
    for (let segment = 1; segment < 10; segment++) note(2, segment);
    assert.deepEqual([await isKnown(1), await isKnown(2)], [true, true]);
  });

  it('recognises the second acceptance when the first one was too long ago', async () => {
    const { clock, resubmissions, note } = create({ countMax: 2 });
    note(1);
    clock.advance(DAY_MS);
    resubmissions.note({ fingerprint: name(1), id: 5, atMs: clock.nowMs() }, 1);
    note(2);
    const again = await resubmissions.once(name(1), () => Promise.resolve(-1));
    assert.deepEqual(again, { id: 5, isResubmission: true });
  });

  for (const limits of [{ windowMs: 0 }, { countMax: 0 }]) {
    it(`recognises nothing with ${JSON.stringify(limits)}`, async () => {
      const { note, isKnown } = create(limits);
      note(1);
      assert.equal(await isKnown(1), false);
    });
  }

  it('says nothing about a message before it is accepted, and then the same to all', async () => {
    const { resubmissions } = create();
    let accept: (id: number) => void = () => undefined;
    let calls = 0;
    const submit = () =>
      resubmissions.once(name(1), () => {
        calls++;
        return new Promise((resolve) => {
          accept = resolve;
        });
      });
    const settled: number[] = [];
    const all = [submit(), submit(), submit()];
    for (const one of all) void one.then(({ id }) => settled.push(id));
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([calls, settled], [1, []]);
    accept(7);
    assert.deepEqual(await Promise.all(all), [
      { id: 7, isResubmission: false },
      { id: 7, isResubmission: true },
      { id: 7, isResubmission: true },
    ]);
    assert.equal(calls, 1);
  });

  it('lets the next one try when one fails', async () => {
    const { resubmissions } = create();
    const tries: number[] = [];
    const submit = (i: number) =>
      resubmissions.once(name(1), async () => {
        tries.push(i);
        await new Promise((resolve) => setImmediate(resolve));
        if (i < 3) throw new Error(`no ${i}`);
        return i;
      });
    const results = await Promise.allSettled([1, 2, 3, 4].map(submit));
    assert.deepEqual(tries, [1, 2, 3]);
    assert.deepEqual(
      results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.message)),
      ['no 1', 'no 2', { id: 3, isResubmission: false }, { id: 3, isResubmission: true }],
    );
  });

  it('carries on what a segment has, oldest first, without what is too old or has gone', async () => {
    const { clock, resubmissions, note } = create({ countMax: 4 });
    note(1);
    note(2);
    clock.advance(DAY_MS - 1);
    for (const [i, segment] of [3, 4, 5].entries()) note(segment, i === 1 ? 2 : 1);
    const written: Seen[][] = [];
    const append = async (seen: readonly Seen[]) => {
      written.push([...seen]);
      return 9;
    };
    await resubmissions.carryOn(1, append);
    assert.deepEqual(
      written.map((seen) => seen.map(({ id }) => id)),
      [[2, 3, 5]],
    );
    written.length = 0;
    await resubmissions.carryOn(1, append);
    clock.advance(1);
    await resubmissions.carryOn(9, append);
    assert.deepEqual(
      written.map((seen) => seen.map(({ id }) => id)),
      [[3, 5]],
    );
  });

  it('logs what it cannot carry on, and goes on recognising it', async () => {
    const { events, resubmissions, note, isKnown } = create();
    note(1);
    await resubmissions.carryOn(1, () => Promise.reject(new Error('disk full')));
    assert.deepEqual(events, ['queue.carry-failed']);
    assert.equal(await isKnown(1), true);
  });
});
