// The golden vectors of qmail-qmqpc: the built program against scripted servers on port 628. Each case has loopback
// addresses of its own (127.0.N.1 for 127.0.0.1), so that the slow ones run side by side. Cases that go through
// qmail-inject run twice: with our client in qmail-inject's process, and as a program of its own.

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { describe, test } from 'node:test';
import {
  type ClientCase,
  type ClientExpectation,
  compareCase,
  type Installation,
  prepareCase,
  readClientCases,
  runCase,
} from '../support/client-vectors.ts';
import { type FakeServer, type ServerStep, startFakeServer } from '../support/fake-qmqp-server.ts';
import { skipUnless } from '../support/peers.ts';
import { expandBytes, type VectorBytes } from '../support/vector-bytes.ts';

const QMQP_PORT = 628;

interface QmqpcExpectation extends ClientExpectation {
  readonly servers: {
    readonly [address: string]: { readonly connections: number; readonly received: VectorBytes | null };
  };
  readonly seconds?: number;
}

interface QmqpcCase extends ClientCase {
  readonly servers: { readonly [address: string]: readonly ServerStep[] };
  readonly slow?: true;
  readonly expect: QmqpcExpectation;
}

/**
 * Where ours differs on purpose: a reply that is not a whole netstring beginning with K, Z or D is a failure of
 * communication, which is known at once or when no more comes for 60 seconds; and a silent server is not waited for when there
 * is another one. test/vectors/README.md has the reasons.
 */
const OURS: { readonly [id: string]: { readonly exit: number; readonly seconds?: number } } = {
  'qmqpc-006': { exit: 74 },
  'qmqpc-007': { exit: 74 },
  'qmqpc-008': { exit: 74, seconds: 60 },
  'qmqpc-011': { exit: 74 },
  'qmqpc-013': { exit: 74 },
  'qmqpc-026': { exit: 74 },
  'qmqpc-108': { exit: 0, seconds: 0 },
  'qmqpc-114': { exit: 74, seconds: 0 },
};

/** The case with its addresses in a loopback network of its own. */
function moved(vector: QmqpcCase, network: number): QmqpcCase {
  const text = JSON.stringify(vector)
    .replaceAll('127.0.0.', `127.0.${network}.`)
    .replaceAll('383.256.512.257', `383.256.${512 + network}.257`);
  return JSON.parse(text);
}

async function check(original: QmqpcCase, network: number, installation: Installation): Promise<void> {
  const vector = moved(original, network);
  const expect = { ...vector.expect, ...OURS[vector.id] };
  const servers: { [address: string]: FakeServer } = {};
  const prepared = prepareCase(vector, installation);
  try {
    for (const [address, steps] of Object.entries(vector.servers))
      servers[address] = await startFakeServer(address, QMQP_PORT, steps);
    const startMs = performance.now();
    const run = await runCase(prepared);
    const seconds = (performance.now() - startMs) / 1000;
    assert.deepEqual(compareCase(prepared, run, expect), []);
    if (expect.seconds !== undefined) {
      const isInTime = seconds >= expect.seconds - 2.5 && seconds <= expect.seconds + 8;
      assert.ok(isInTime, `took ${seconds} s instead of ${expect.seconds}`);
    }
    for (const [address, wanted] of Object.entries(expect.servers))
      await compareServer(servers[address], wanted);
  } finally {
    for (const server of Object.values(servers)) await server.stop();
    rmSync(prepared.folder, { recursive: true, force: true });
  }
}

async function compareServer(
  server: FakeServer | undefined,
  wanted: { readonly connections: number; readonly received: VectorBytes | null },
): Promise<void> {
  assert.equal(server?.received.length, wanted.connections, 'connections');
  if (wanted.received === null) return;
  await server?.requestRead;
  const received = server?.received.map((bytes) => bytes.toString('latin1')).join('');
  assert.equal(received, expandBytes(wanted.received, {}).toString('latin1'));
}

/** Why port 628 cannot be used here, if that is so. */
async function portTrouble(): Promise<string | false> {
  try {
    await (await startFakeServer('127.0.255.1', QMQP_PORT, [])).stop();
    return false;
  } catch (error) {
    return skipUnless([`port ${QMQP_PORT} cannot be listened on: ${error}`]);
  }
}

const skip = await portTrouble();
const cases = readClientCases('qmail-qmqpc') as QmqpcCase[];
// The slow ones first: while they wait the others run.
cases.sort((a, b) => Number(b.slow === true) - Number(a.slow === true));

describe('qmail-qmqpc', { concurrency: 10 }, () => {
  let network = 0;
  for (const vector of cases) {
    const installations: Installation[] =
      vector.program === 'qmail-inject' ? ['links', 'scripts'] : ['links'];
    for (const installation of installations) {
      const own = ++network;
      const how = installation === 'links' ? '' : ' (as a program of its own)';
      test(`${vector.id} ${vector.title}${how}`, { skip }, () => check(vector, own, installation));
    }
  }
});

test('qmail-qmqpc: every documented difference is one', () => {
  for (const [id, ours] of Object.entries(OURS)) {
    const vector = cases.find((one) => one.id === id);
    assert.notDeepEqual({ ...vector?.expect, ...ours }, vector?.expect, id);
  }
});
