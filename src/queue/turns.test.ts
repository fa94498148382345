import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turns } from './turns.ts';

function takeAll<T>(turns: Turns<T>): T[] {
  const taken: T[] = [];
  for (let item = turns.take(); item !== undefined; item = turns.take()) taken.push(item);
  return taken;
}

test('take() keeps the order of the line when nothing is fresh', () => {
  const turns = new Turns<number>();
  for (let i = 0; i < 5000; i++) turns.add(i);
  for (let i = 0; i < 5000; i++) turns.add(i);
  assert.equal(turns.size, 5000);
  assert.deepEqual(takeAll(turns), [...Array(5000).keys()]);
  assert.equal(turns.size, 0);
});

test('take() gives every other turn to what is fresh, newest first', () => {
  const turns = new Turns<string>();
  for (const item of ['a', 'b', 'c', 'd', 'e']) turns.add(item);
  for (const item of ['x', 'd', 'y']) turns.add(item, true);
  assert.deepEqual(takeAll(turns), ['y', 'a', 'd', 'b', 'x', 'c', 'e']);
});

test('take() moves the line on however much is fresh', () => {
  const turns = new Turns<string>();
  turns.add('old');
  const taken: (string | undefined)[] = [];
  for (let i = 0; i < 2; i++) {
    turns.add(`fresh${i}`, true);
    taken.push(turns.take());
  }
  assert.ok(taken.includes('old'));
});

test('delete() takes an item out of its turn, and add() puts it at the end again', () => {
  const turns = new Turns<string>();
  for (const item of ['a', 'b', 'c']) turns.add(item, true);
  turns.delete('c');
  turns.delete('nobody');
  assert.equal(turns.first(), 'a');
  turns.delete('a');
  turns.add('a');
  assert.deepEqual(takeAll(turns), ['b', 'a']);
});

test('an item that is made fresh again and again takes no room', () => {
  const turns = new Turns<string>();
  turns.add('a');
  for (let i = 0; i < 100_000; i++) turns.add('b', true);
  assert.deepEqual(takeAll(turns), ['b', 'a']);
});
