// How many messages a second go through the hub to one destination, from the source's first byte until the queue is empty again,
// against Postfix with its queue manager and SMTP client doing the same? 2 KB messages by QMQP from Postfix's qmqp-source, to Postfix's
// smtp-sink, at most 20 connections at a time, in one run. And what processor time does a message take, of all the processes of each?

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HubProcess, makeHome, removeHome } from '../test/support/hub-process.ts';
import { accepting, findPeer, freePort } from '../test/support/peers.ts';
import { missingPostfix, startPostfix } from '../test/support/postfix.ts';
import { type Candidate, printRatio, printSpreads, type Spread, spreadOf, takeTurns } from './measure.ts';
import { hubStats } from './support/hub-stats.ts';
import { pause } from './support/pause.ts';
import { familyOf, processorMs } from './support/process-use.ts';

const SIZE = 2000;
const SESSIONS = 20;
const ROUNDS = 7;
const LOOK_MS = 10;
const OURS = 'mini-qmail hub';
const POSTFIX = 'Postfix qmqpd, qmgr, smtp';

interface Server {
  readonly name: string;
  readonly port: number;
  readonly count: number;
  /** The process whose family does the work. */
  readonly pid: number;
  isEmpty(): Promise<boolean> | boolean;
  stop(): Promise<void>;
  /** Processor time for a message in each round, ms. */
  readonly costs: number[];
}

const servers: Server[] = [];
const absent: string[] = [];

function familyMs(pid: number): number {
  return familyOf(pid).reduce((sum, one) => sum + processorMs(one), 0);
}

/** Messages per second from the first one sent to the last one delivered. */
async function drive(server: Server): Promise<number> {
  const { port, count, pid, costs } = server;
  const counts = ['-s', String(SESSIONS), '-m', String(count), '-l', String(SIZE)];
  const args = [...counts, '-f', 'bench@example.org', '-t', 'sink@example.net', `inet:127.0.0.1:${port}`];
  const [startMs, cost] = [performance.now(), familyMs(pid)];
  const source = spawn(findPeer('qmqp-source')!, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const [status] = await once(source, 'exit');
  if (status !== 0) throw new Error(`qmqp-source ended with ${status}`);
  while (!(await server.isEmpty())) await pause(LOOK_MS);
  const rate = (count * 1000) / (performance.now() - startMs);
  costs.push((familyMs(pid) - cost) / count);
  return rate;
}

async function startHub(sinkPort: number): Promise<void> {
  const home = makeHome({ smtproutes: `:127.0.0.1:${sinkPort}\n` });
  const hub = await HubProcess.start(home, join(home, 'log'));
  servers.push({
    ...{ name: OURS, port: hub.port, pid: hub.pid, count: 10_000, costs: [] },
    isEmpty: async () => (await hubStats(home)).messages === 0,
    stop: async () => {
      await hub.end();
      removeHome(home);
    },
  });
}

async function startPeer(sinkPort: number): Promise<void> {
  const obstacle = missingPostfix();
  if (obstacle !== false) {
    absent.push(`Postfix (${obstacle})`);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'bench-postfix-'));
  chmodSync(folder, 0o755);
  const port = await freePort();
  const postfix = await startPostfix(folder, port, { relayPort: sinkPort });
  const pid = Number(readFileSync(`${folder}/queue/pid/master.pid`, 'latin1'));
  const queues = ['incoming', 'active'].map((name) => join(folder, 'queue', name));
  servers.push({
    ...{ name: POSTFIX, port, pid, count: 2000, costs: [] },
    isEmpty: () => queues.every((queue) => readdirSync(queue).length === 0),
    stop: () => postfix.stop().then(() => rmSync(folder, { recursive: true })),
  });
}

function report(spreads: ReadonlyMap<string, Spread>): void {
  printSpreads(spreads, 'messages/s');
  const [ours, theirs] = [spreads.get(OURS), spreads.get(POSTFIX)];
  if (ours !== undefined && theirs !== undefined)
    printRatio('hub against Postfix', ours.median / theirs.median, { atLeast: 1 });
  console.log('');
  const costs = new Map(servers.map((server) => [server.name, spreadOf(server.costs.slice(1))]));
  printSpreads(costs, 'ms of processor time for a message', 3);
}

console.log('hub-delivery: messages accepted and delivered per second, to one destination');
const missing = ['qmqp-source', 'smtp-sink'].filter((name) => findPeer(name) === undefined);
if (missing.length > 0) {
  console.log(`  nothing measured: ${missing.join(', ')} (Postfix) not installed`);
} else {
  const sinkPort = await freePort();
  // As root it wants to know whom to become.
  const words = [...(process.getuid?.() === 0 ? ['-u', 'nobody'] : []), `inet:127.0.0.1:${sinkPort}`, '1024'];
  const sink = spawn(findPeer('smtp-sink')!, words, { stdio: ['ignore', 'ignore', 'inherit'] });
  try {
    await accepting(sinkPort);
    await startHub(sinkPort);
    await startPeer(sinkPort);
    const candidates: Candidate[] = servers.map((server) => ({
      name: server.name,
      run: () => drive(server),
    }));
    console.log(`  qmqp-source -s ${SESSIONS} -l ${SIZE}, smtp-sink, ${ROUNDS} rounds`);
    report(await takeTurns(candidates, ROUNDS));
  } finally {
    for (const { stop } of servers.reverse()) await stop();
    sink.kill();
  }
}
for (const name of absent) console.log(`  absent: ${name}`);
