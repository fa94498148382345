import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../host/manual-clock.ts';
import { type TurnAnswer, Turns } from './turns.ts';

function setUp(waitingMax = 3) {
  const clock = new ManualClock();
  const turns = new Turns({ waitingMax, waitMsMax: 1000, clock });
  const log: string[] = [];
  const ends = new Map<string, () => void>();
  const take = (name: string, limit = 2, isGone = () => false) =>
    turns.take({ limit, isGone }).then((answer: TurnAnswer) => {
      log.push(typeof answer === 'string' ? `${name} ${answer}` : name);
      if (typeof answer !== 'string') ends.set(name, answer);
    });
  const settle = () => new Promise(setImmediate);
  const end = async (name: string) => {
    ends.get(name)?.();
    await settle();
  };
  return { clock, log, take, end, settle };
}

test('Turns lets as many run as the limit says, and then the others in order', async () => {
  const { clock, log, take, end, settle } = setUp();
  for (const name of ['a', 'b', 'c', 'd']) void take(name);
  await settle();
  assert.deepEqual(log, ['a', 'b']);
  await end('b');
  assert.deepEqual(log, ['a', 'b', 'c']);
  await end('a');
  await end('c');
  await end('d');
  assert.deepEqual(log, ['a', 'b', 'c', 'd']);
  assert.equal(clock.nextTimerMs(), undefined);
});

test('Turns sends away whom it has no place for, and who has waited too long', async () => {
  const { clock, log, take, end, settle } = setUp();
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) void take(name);
  await settle();
  assert.deepEqual(log, ['a', 'b', 'f full']);
  clock.advance(999);
  await settle();
  assert.equal(log.length, 3);
  clock.advance(1);
  await settle();
  assert.deepEqual(log.slice(3), ['c late', 'd late', 'e late']);
  await end('a');
  await end('b');
  await take('g');
  assert.equal(log.at(-1), 'g');
});

test('Turns gives no turn to one who has left, whose place is free for others', async () => {
  const { log, take, end, settle } = setUp();
  let hasLeft = false;
  void take('a', 1);
  void take('b', 1, () => hasLeft);
  void take('c', 1, () => hasLeft);
  void take('d', 1);
  await settle();
  hasLeft = true;
  void take('e', 1);
  await settle();
  assert.deepEqual(log, ['a', 'b gone', 'c gone']);
  hasLeft = false;
  void take('f', 1, () => hasLeft);
  hasLeft = true;
  await end('a');
  await end('d');
  assert.deepEqual(log.slice(3), ['d', 'e']);
  await end('e');
  assert.deepEqual(log.slice(5), ['f gone']);
});

test('Turns takes a new limit when it is told one', async () => {
  const { log, take, end, settle } = setUp();
  for (const name of ['a', 'b', 'c']) void take(name, 1);
  await settle();
  void take('d', 3);
  await settle();
  assert.deepEqual(log, ['a', 'b', 'c']);
  await end('a');
  assert.deepEqual(log, ['a', 'b', 'c', 'd']);
});
