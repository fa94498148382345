// kill -9 of mini-qmail flush, again and again: a hub is down while real sendmail processes send, comes up, and gets what waited.
// Each message must be delivered exactly once, in the order in which they were sent, wherever a flush was stopped: while it
// starts, while a request is on its way, between the hub's commit and its answer, before the message was removed.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { askForQueue } from '../../src/hub/admin-socket.ts';
import { HubProcess, makeHome, readMailbox, removeHome } from '../support/hub-process.ts';
import { missingPeers } from '../support/peers.ts';
import { seededRandom } from '../support/simulated-disk.ts';
import { SpillHome } from '../support/spill-home.ts';

const KILLS = Number(process.env['MINI_QMAIL_KILLS'] ?? 12);
const MESSAGES = Math.max(50, 4 * KILLS);
const SEED = Number(process.env['MINI_QMAIL_SEED'] ?? Math.floor(Math.random() * 1e9));
/** A flush is stopped at one of so many first exchanges, so that there is something left for the last ones. */
const EXCHANGES_BEFORE_KILL = 4;

/** Something that an exchange comes to. */
type Step = 'connected' | 'request' | 'reply';

/** Goes between client and hub, and can tell of each step before it lets it through. */
class Line {
  readonly #server: Server;
  /** Told of each step; what it answers true to does not get through. */
  onStep: (step: Step) => boolean = () => false;

  constructor(hubPort: number) {
    this.#server = createServer((client) => {
      if (this.onStep('connected')) return;
      const hub = connect({ host: '127.0.0.1', port: hubPort });
      const pass = (from: Socket, to: Socket, step: Step) => {
        from.on('data', (bytes) => void (this.onStep(step) || to.write(bytes)));
        from.on('error', () => undefined);
        from.on('close', () => to.end());
      };
      pass(client, hub, 'request');
      pass(hub, client, 'reply');
    });
  }

  listen(port: number): Promise<void> {
    return new Promise((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
  }

  close(): void {
    this.#server.close();
  }
}

/** A port where nobody listens. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Sends as a user would, one after the other. */
function sendAll(home: SpillHome): void {
  for (let i = 0; i < MESSAGES; i++) {
    // Some are large enough to be on their way for a while.
    const padding = 'x'.repeat(i % 7 === 3 ? 300_000 : i);
    const { status, stderr } = home.sendmail(`Subject: ${i}\n\n${padding}\nend of ${i}\n`);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /the message waits in/);
  }
}

/** Runs a flush that is killed at some point by chance. @returns whether it came to its end before */
async function flushAndKill(home: SpillHome, line: Line, random: () => number): Promise<boolean> {
  const { child, ended } = home.startFlush();
  const step = (['connected', 'request', 'reply'] as const)[Math.floor(random() * 3)]!;
  const isSwallowed = random() < 0.5;
  const delayMs = isSwallowed ? 0 : random() * 4;
  let left = Math.floor(random() * (EXCHANGES_BEFORE_KILL + 1));
  const timers: NodeJS.Timeout[] = [];
  const killAfter = (ms: number) => void timers.push(setTimeout(() => child.kill('SIGKILL'), ms));
  // Now and then before it has sent anything.
  if (left === 0) killAfter(random() * 150);
  line.onStep = (seen) => {
    if (seen !== step || --left !== 0) return left < 0 && isSwallowed;
    if (delayMs === 0) child.kill('SIGKILL');
    else killAfter(delayMs);
    return isSwallowed;
  };
  const { status } = await ended;
  for (const timer of timers) clearTimeout(timer);
  line.onStep = () => false;
  return status !== null;
}

const countOf = (hub: HubProcess, event: string) => hub.log.text.split(`\n${event} `).length - 1;

/** Numbers of the messages that arrived, in the order in which the hub took them; fails unless each is whole. */
function arrivals(hubHome: string, hub: HubProcess): number[] {
  const numbers = new Map<string, number>();
  const found: number[] = [];
  for (const stored of readMailbox(hubHome, 'hub.example', 'box')) {
    const number = Number(/\nSubject: (\d+)\n/.exec(stored)?.[1]);
    assert.ok(stored.endsWith(`\nend of ${number}\n`), `message ${number} is whole`);
    numbers.set(/\nMessage-ID: (\S+)\n/i.exec(stored)?.[1] ?? '', number);
    found.push(number);
  }
  assert.equal(numbers.size, found.length, 'nothing arrived twice');
  const taken = [...hub.log.text.matchAll(/^accepted .*messageId="?(<[^>]+>)/gm)].map(([, id]) => id!);
  return taken.map((id) => numbers.get(id) ?? -1);
}

async function untilDelivered(hubHome: string, hub: HubProcess): Promise<void> {
  for (;;) {
    let queued = '';
    assert.ok(await askForQueue(hubHome, (more) => (queued += more)), 'the hub answers');
    if (queued === '') return;
    await hub.untilLogged(/delivery/);
  }
}

describe('mini-qmail flush that is killed', { skip: missingPeers('flock') }, () => {
  it(`sends each of ${MESSAGES} messages once and in order over ${KILLS} kills`, async (t) => {
    t.diagnostic(`seed ${SEED}`);
    const random = seededRandom(SEED);
    const port = await freePort();
    const home = new SpillHome(`qmqp://127.0.0.1:${port} hub`);
    const hubHome = makeHome();
    let hub: HubProcess | undefined;
    let line: Line | undefined;
    try {
      sendAll(home);
      hub = await HubProcess.start(hubHome);
      line = new Line(hub.port);
      await line.listen(port);
      let kills = 0;
      for (let round = 0; round < KILLS; round++) if (!(await flushAndKill(home, line, random))) kills++;
      const { status, stderr } = await home.startFlush().ended;
      assert.deepEqual([status, stderr], [0, '']);
      assert.deepEqual(readdirSync(join(home.folder, String(process.getuid?.()))), []);
      await untilDelivered(hubHome, hub);
      t.diagnostic(`${kills} killed; ${countOf(hub, 'qmqp.resubmission')} sent again and recognised`);
      assert.ok(kills > KILLS / 2, 'the kills were real');
      assert.match(
        hub.log.text,
        new RegExp(`^client\\.spill ip=127\\.0\\.0\\.1 messages=${MESSAGES} oldest=\\d+$`, 'm'),
      );
      const all = Array.from({ length: MESSAGES }, (_, i) => i);
      assert.deepEqual(arrivals(hubHome, hub), all);
    } finally {
      line?.close();
      await hub?.end();
      home.remove();
      removeHome(hubHome);
    }
  });
});
