import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lanes } from './lanes.ts';

function takeAll(lanes: Lanes<string>): string[] {
  const taken: string[] = [];
  for (let item = lanes.take(); item !== undefined; item = lanes.take()) taken.push(item);
  return taken;
}

test('take() gives lanes their turns and keeps the order within a lane', () => {
  const lanes = new Lanes<string>();
  for (const item of ['a1', 'a2', 'a3', 'b1', 'c1', 'c2']) lanes.add(item.charAt(0), 10, item);
  assert.deepEqual(takeAll(lanes), ['a1', 'b1', 'c1', 'a2', 'c2', 'a3']);
});

test('take() passes over a lane that is full until one of its items is done', () => {
  const lanes = new Lanes<string>();
  for (const item of ['a1', 'a2', 'a3', 'b1', 'b2'])
    lanes.add(item.charAt(0), item.startsWith('a') ? 1 : 2, item);
  assert.deepEqual(takeAll(lanes), ['a1', 'b1', 'b2']);
  lanes.done('b');
  assert.equal(lanes.take(), undefined);
  lanes.done('a');
  assert.deepEqual(takeAll(lanes), ['a2']);
  lanes.done('a');
  lanes.add('a', 1, 'a4');
  assert.deepEqual(takeAll(lanes), ['a3']);
});

test('add() to a full lane waits', () => {
  const lanes = new Lanes<string>();
  lanes.add('a', 1, 'a1');
  assert.deepEqual(takeAll(lanes), ['a1']);
  lanes.add('a', 1, 'a2');
  assert.deepEqual(takeAll(lanes), []);
  lanes.done('a');
  assert.deepEqual(takeAll(lanes), ['a2']);
});

test('a lane keeps its order over many items', () => {
  const lanes = new Lanes<number>();
  const taken: number[] = [];
  for (let i = 0; i < 10_000; i++) {
    lanes.add('a', 1, i);
    if (i % 3 === 0) continue;
    taken.push(lanes.take()!);
    lanes.done('a');
  }
  for (let item = lanes.take(); item !== undefined; item = lanes.take()) {
    taken.push(item);
    lanes.done('a');
  }
  assert.deepEqual(taken, [...Array(10_000).keys()]);
});
