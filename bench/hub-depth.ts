// What does a deep queue cost? Accept rate, delivery rate, memory and start of a hub with many messages that wait, each depth beside
// an empty hub in the same rounds.
//   node bench/hub-depth.ts [--depths 0,10000,100000,1000000] [--destinations 1000] [--rounds 5] [--svg FILE]
// A round: one destination is suspended while qmqp-source submits 2 KB messages to it (accept rate), then released, until the queue is as deep as before
// (delivery rate). Start: from the start of the process to the delivery of a message that is submitted as soon as the port is open; and
// again with every message due, to the first delivery, with the rate at which those go out from then on.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { HubProcess, makeHome, removeHome, submit } from '../test/support/hub-process.ts';
import { findPeer } from '../test/support/peers.ts';
import { printRatio, type Spread, takeTurns } from './measure.ts';
import { drawPanels } from './support/chart.ts';
import { domainNumber, fillQueue, makeAllDue, routesTo } from './support/deep-queue.ts';
import { hubStats } from './support/hub-stats.ts';
import { pause } from './support/pause.ts';
import { residentBytes } from './support/process-use.ts';
import { Sink } from './support/sink.ts';

const HOUR_MS = 3_600_000;
const MESSAGES = 5000;
const SESSIONS = 20;
const LOOK_MS = 10;
const BUDGET = 0.9;
const START_MAX_MS = 5000;
const DUE_COUNT = 3000;

interface Depth {
  readonly depth: number;
  readonly accept: number;
  readonly deliver: number;
  readonly acceptRatio: number;
  readonly deliverRatio: number;
  readonly rssMb: number;
  readonly listenMs: number;
  readonly freshMs: number;
  readonly dueMs: number | undefined;
  readonly duePerSecond: number | undefined;
}

const { values: options } = parseArgs({
  options: {
    depths: { type: 'string', default: '0,10000,100000,1000000' },
    destinations: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '5' },
    svg: { type: 'string' },
  },
});
const rounds = Number(options.rounds);

function suspend(home: string, hub: HubProcess, isSuspended: boolean): Promise<void> {
  writeFileSync(join(home, 'control/destinations'), isSuspended ? '127.1.0.0:suspend\n' : '');
  process.kill(hub.pid, 'SIGHUP');
  return pause(100);
}

async function acceptRate(port: number): Promise<number> {
  const counts = ['-s', String(SESSIONS), '-m', String(MESSAGES), '-l', '2000'];
  const args = [
    ...counts,
    '-f',
    'bench@example.org',
    '-t',
    `u0@${domainNumber(0)}`,
    `inet:127.0.0.1:${port}`,
  ];
  const startMs = performance.now();
  const source = spawn(findPeer('qmqp-source')!, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const [status] = await once(source, 'exit');
  if (status !== 0) throw new Error(`qmqp-source ended with ${status}`);
  return (MESSAGES * 1000) / (performance.now() - startMs);
}

async function deliveryRate(home: string, hub: HubProcess, depth: number): Promise<number> {
  const startMs = performance.now();
  await suspend(home, hub, false);
  while ((await hubStats(home)).messages > depth) await pause(LOOK_MS);
  return (MESSAGES * 1000) / (performance.now() - startMs);
}

/** Starts a hub, and has a message of now delivered. @returns with the times since the start of the process */
async function startFresh(
  home: string,
  sink: Sink,
): Promise<{ hub: HubProcess; listenMs: number; freshMs: number }> {
  const { recipients } = await sink.counts();
  const startMs = performance.now();
  const hub = await HubProcess.start(home, join(home, 'log'));
  const listenMs = performance.now() - startMs;
  await submit(hub.port, 'Subject: fresh\n\nnow\n', 'bench@example.org', `u0@${domainNumber(1)}`);
  await sink.until(recipients + 1);
  return { hub, listenMs, freshMs: performance.now() - startMs };
}

/** Starts a hub with everything due. @returns when the first of it is delivered, and how fast the next ones are */
async function startDue(home: string, sink: Sink, depth: number): Promise<[ms: number, perSecond: number]> {
  await makeAllDue(home);
  const { recipients } = await sink.counts();
  const startMs = performance.now();
  const starting = HubProcess.start(home, join(home, 'log'));
  await sink.until(recipients + 1);
  const firstMs = performance.now();
  const count = Math.min(DUE_COUNT, depth - 1);
  await sink.until(recipients + 1 + count);
  const perSecond = (count * 1000) / (performance.now() - firstMs);
  await (await starting).end();
  return [firstMs - startMs, perSecond];
}

function findMedian(spreads: ReadonlyMap<string, Spread>, name: string): number {
  return spreads.get(name)!.median;
}

/** The two rates of the deep hub and of the empty one, taken in turns. */
async function compareRates(
  deep: { home: string; hub: HubProcess; depth: number },
  empty: { home: string; hub: HubProcess },
): Promise<Pick<Depth, 'accept' | 'deliver' | 'acceptRatio' | 'deliverRatio'>> {
  const candidates = [
    { name: 'deep', ...deep },
    { name: 'empty', ...empty, depth: 0 },
  ].flatMap(({ name, home, hub, depth }) => [
    {
      name: `${name} accept`,
      run: () => suspend(home, hub, true).then(() => acceptRate(hub.port)),
    },
    { name: `${name} deliver`, run: () => deliveryRate(home, hub, depth) },
  ]);
  const spreads = await takeTurns(candidates, rounds);
  const [accept, deliver] = [findMedian(spreads, 'deep accept'), findMedian(spreads, 'deep deliver')];
  return {
    ...{ accept, deliver },
    acceptRatio: accept / findMedian(spreads, 'empty accept'),
    deliverRatio: deliver / findMedian(spreads, 'empty deliver'),
  };
}

async function measureDepth(depth: number, sink: Sink): Promise<Depth> {
  const routes = routesTo(sink.ports[0]!, Number(options.destinations));
  const control = { smtproutes: `${routes.join('\n')}\n` };
  const [home, emptyHome] = [makeHome(control), makeHome(control)];
  try {
    const nowMs = Date.now();
    const dueMs = [nowMs + 2 * HOUR_MS, nowMs + 6 * HOUR_MS] as const;
    await fillQueue({ home, routes, messages: depth, dueMs });
    const { hub, listenMs, freshMs } = await startFresh(home, sink);
    const empty = await HubProcess.start(emptyHome, join(emptyHome, 'log'));
    const rates = await compareRates({ home, hub, depth }, { home: emptyHome, hub: empty });
    const rssMb = residentBytes(hub.pid) / (1 << 20);
    await hub.end();
    await empty.end();
    const [due, duePerSecond] = depth === 0 ? [] : await startDue(home, sink, depth);
    return { depth, ...rates, rssMb, listenMs, freshMs, dueMs: due, duePerSecond };
  } finally {
    removeHome(home);
    removeHome(emptyHome);
  }
}

const HEADS = ['queued', 'accept/s', '× empty', 'deliver/s', '× empty', 'RSS MB'].concat(
  ...['listens ms', 'fresh ms', 'due ms', 'due/s'],
);

function print(cells: readonly (string | number)[]): void {
  console.log(cells.map((cell) => String(cell).padStart(11)).join(''));
}

function printDepth(row: Depth): void {
  print([
    ...[row.depth, row.accept.toFixed(0), row.acceptRatio.toFixed(2)],
    ...[row.deliver.toFixed(0), row.deliverRatio.toFixed(2), row.rssMb.toFixed(0)],
    ...[row.listenMs.toFixed(0), row.freshMs.toFixed(0)],
    ...[row.dueMs?.toFixed(0) ?? '–', row.duePerSecond?.toFixed(0) ?? '–'],
  ]);
}

function draw(rows: readonly Depth[]): string {
  const points = (of: (row: Depth) => number | undefined) =>
    rows.flatMap((row) => {
      const value = of(row);
      return value === undefined ? [] : [[row.depth, value] as const];
    });
  return drawPanels('messages in the queue', [
    {
      title: 'rate, beside an empty hub',
      unit: '×',
      lines: [
        { name: 'accept', points: points((row) => row.acceptRatio) },
        { name: 'deliver', points: points((row) => row.deliverRatio) },
      ],
    },
    { title: 'memory', unit: 'MB', lines: [{ name: 'resident', points: points((row) => row.rssMb) }] },
    {
      title: 'start to first delivery',
      unit: 's',
      lines: [
        { name: 'new message', points: points((row) => row.freshMs / 1000) },
        { name: 'all of them due', points: points((row) => row.dueMs && row.dueMs / 1000) },
      ],
    },
  ]);
}

console.log(`hub-depth: what a deep queue costs, ${options.destinations} destinations, ${rounds} rounds`);
if (findPeer('qmqp-source') === undefined) {
  console.log('  nothing measured: qmqp-source (Postfix) is not installed');
} else {
  const sink = await Sink.start('0.0.0.0');
  try {
    const rows: Depth[] = [];
    print(HEADS);
    for (const depth of options.depths.split(',').map(Number)) {
      rows.push(await measureDepth(depth, sink));
      printDepth(rows.at(-1)!);
    }
    const { depth, acceptRatio, deliverRatio, freshMs, dueMs = 0 } = rows.at(-1)!;
    printRatio(`accept rate at ${depth}`, acceptRatio, { atLeast: BUDGET });
    printRatio(`delivery rate at ${depth}`, deliverRatio, { atLeast: BUDGET });
    printRatio('start, part of 5 s', Math.max(freshMs, dueMs) / START_MAX_MS, { atMost: 1 });
    if (options.svg !== undefined) writeFileSync(options.svg, draw(rows));
  } finally {
    await sink.stop();
  }
}
