import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../core/bytes/bytes.ts';
import type { ServerAddress } from '../core/format/server-list.ts';
import { QUEUE_EXIT } from '../core/policy/outcome.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { isRecognised, offerAgain } from './qmqp-submit-again.ts';
import type { RoundResult } from './qmqp-submit-attempts.ts';

const line = (port: number, hub?: string): ServerAddress => ({
  host: '192.0.2.1',
  port,
  ...(hub !== undefined && { hub }),
});
const lostAt = (server: ServerAddress): RoundResult => ({
  exit: QUEUE_EXIT.connectionLost,
  final: true,
  isUnknown: true,
  server,
});
const REFUSED: RoundResult = { exit: QUEUE_EXIT.connectRefused, final: false };

/** Offers again until the answers are used up, each asked for when its pause is over. @returns result, lines, times */
async function again(
  servers: readonly ServerAddress[],
  lost: number,
  answers: readonly RoundResult[],
  tookMs = 0,
) {
  const clock = new ManualClock();
  const asked: string[] = [];
  const left = [...answers];
  let result: RoundResult | undefined;
  void offerAgain(lostAt(servers[lost]!), servers, {
    clock,
    offer: async (to) => {
      asked.push(`${clock.steadyMs()}: ${to.map(({ port }) => port)}`);
      clock.advance(tookMs);
      return left.shift() ?? REFUSED;
    },
  }).then((end) => {
    result = end;
  });
  while (result === undefined) {
    await new Promise(setImmediate);
    const nextMs = clock.nextTimerMs();
    if (nextMs !== undefined) clock.advance(nextMs - clock.nowMs());
  }
  return { exit: result.exit, isUnknown: result.isUnknown, asked };
}

test('offerAgain() asks the lines of the same hub, those behind the cut one first, with pauses', async () => {
  const servers = [line(1, 'a'), line(2, 'b'), line(3, 'a'), line(4), line(5, 'a')];
  assert.deepEqual(await again(servers, 2, []), {
    exit: 74,
    isUnknown: true,
    asked: ['0: 5,1,3', '500: 5,1,3', '2000: 5,1,3', '5000: 5,1,3', '10000: 5,1,3'],
  });
});

test('offerAgain() ends with the first answer; refused for now leaves it open what became of the first time', async () => {
  const servers = [line(1, '')];
  for (const [exit, isUnknown] of [
    [0, false],
    [31, false],
    [71, true],
  ] as const) {
    const answers = [REFUSED, lostAt(servers[0]!), { exit, final: true }];
    assert.deepEqual(await again(servers, 0, answers), {
      exit,
      isUnknown,
      asked: ['0: 1', '500: 1', '2000: 1'],
    });
  }
});

test('offerAgain() starts nothing half a minute after the cut', async () => {
  const { asked } = await again([line(1, '')], 0, [], 14_001);
  assert.deepEqual(asked, ['0: 1', '14501: 1']);
});

test('offerAgain() leaves it at that for a line without hub', async () => {
  assert.deepEqual(await again([line(1), line(1, '')], 0, []), { exit: 74, isUnknown: true, asked: [] });
});

test('isRecognised() finds the Message-ID that a hub goes by, wherever the message is cut', async () => {
  for (const [text, want] of [
    ['Subject: x\nMessage-Id: <1.2@x>\n\nbody\n', true],
    ['Message-ID: <16699@vm>\n\nbody\n', false],
    ['Message-ID:\n\nbody\n', false],
    ['Subject: x\n\nMessage-ID: <1.2@x>\n', false],
    ['message-id: <1.2@x>', true],
    ['', false],
  ] as const) {
    const bytes = bytesOf(text);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const rest = bytes.subarray(cut);
      const stored = {
        length: rest.length,
        read: async (from: number, to: number) => rest.slice(from, from + to),
      };
      assert.equal(await isRecognised([bytes.subarray(0, cut), rest]), want);
      assert.equal(await isRecognised([bytes.subarray(0, cut), stored]), want);
    }
  }
  const gone = { length: 9, read: () => Promise.reject(new Error('gone')) };
  assert.equal(await isRecognised([gone]), false);
});
