import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AttemptResult } from '../client/qmqp-conversation.ts';
import { QUEUE_EXIT } from '../core/policy/outcome.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { ServerMemory } from './server-memory.ts';

const SERVERS = [1, 2, 3].map((port) => ({ host: '192.0.2.1', port }));
const [FIRST] = SERVERS as [(typeof SERVERS)[0]];
const OK: AttemptResult = { exit: QUEUE_EXIT.accepted, final: true };
const TIMED_OUT: AttemptResult = { exit: QUEUE_EXIT.connectTimeout, final: false };

function setUp() {
  const clock = new ManualClock();
  const answers: ((result: AttemptResult) => void)[] = [];
  const changes: string[] = [];
  const memory = new ServerMemory({
    clock,
    attempt: () => new Promise((resolve) => answers.push(resolve)),
    onChange: ({ port }, isReachable) => changes.push(`${port} ${isReachable}`),
  });
  const attempt = (server = FIRST) => memory.attempt(server, [], { clock, home: '/' });
  const answer = (result: AttemptResult) => answers.shift()?.(result);
  const order = () => memory.order(SERVERS).map(({ port }) => port);
  return { clock, changes, attempt, answer, answers, order };
}

test('ServerMemory puts a server that could not be reached last for 30 seconds, and says so once', async () => {
  const { clock, changes, attempt, answer, order } = setUp();
  assert.deepEqual(order(), [1, 2, 3]);
  const attempts = [attempt(), attempt()];
  answer(TIMED_OUT);
  answer(TIMED_OUT);
  assert.deepEqual(await Promise.all(attempts), [TIMED_OUT, TIMED_OUT]);
  assert.deepEqual([order(), changes], [[2, 3, 1], ['1 false']]);
  clock.advance(29_999);
  assert.deepEqual(order(), [2, 3, 1]);
  clock.advance(1);
  assert.deepEqual(order(), [1, 2, 3]);
});

test('ServerMemory tries a lost server by one attempt at a time, and has no mercy only until it answers', async () => {
  const { clock, changes, attempt, answer, answers, order } = setUp();
  const first = attempt();
  answer(TIMED_OUT);
  await first;
  clock.advance(30_000);
  const second = attempt();
  assert.deepEqual(await attempt(), TIMED_OUT);
  answer(TIMED_OUT);
  await second;
  assert.deepEqual(order(), [2, 3, 1]);
  const third = attempt();
  answer(OK);
  assert.deepEqual(await third, OK);
  assert.deepEqual(
    [order(), changes],
    [
      [1, 2, 3],
      ['1 false', '1 true'],
    ],
  );
  const both = [attempt(), attempt()];
  assert.equal(answers.length, 2);
  for (const _ of both) answer(OK);
  await Promise.all(both);
});

test('ServerMemory does not blame a server for an answer, nor for a lack of sockets here', async () => {
  const { changes, attempt, answer } = setUp();
  for (const exit of [QUEUE_EXIT.serverTemporary, QUEUE_EXIT.connectionLost, QUEUE_EXIT.network]) {
    const result = attempt();
    answer({ exit, final: true });
    assert.equal((await result).exit, exit);
  }
  assert.deepEqual(changes, []);
});
