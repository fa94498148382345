// How many messages a second does the hub acknowledge, each on stable storage, against Postfix's qmqpd, Postfix's qmqp-sink (which
// stores nothing) and qmail-qmqpd under C tcpserver? Driven by Postfix's qmqp-source, 2 KB messages, in one run.
// Deliveries are held everywhere: this is about accepting.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../test/support/client-vectors.ts';
import { HubProcess, makeHome, removeHome } from '../test/support/hub-process.ts';
import { accepting, findPeer, freePort } from '../test/support/peers.ts';
import { missingPostfix, startPostfix } from '../test/support/postfix.ts';
import { type Candidate, printRatio, printSpreads, type Spread, takeTurns } from './measure.ts';

const SIZE = 2000;
const SESSIONS = [20, 50];
const ROUNDS = 7;

interface Server {
  readonly name: string;
  readonly port: number;
  /** Messages per round: fewer where each costs a process. */
  readonly count: number;
  stop(): Promise<void> | void;
}

const servers: Server[] = [];
const absent: string[] = [];

/** Messages per second that the source got rid of. Asynchronous, so that the log of the hub is read meanwhile. */
async function drive(port: number, sessions: number, count: number): Promise<number> {
  const counts = ['-s', String(sessions), '-m', String(count), '-l', String(SIZE)];
  const args = [...counts, '-f', 'bench@example.org', '-t', 'sink@example.net', `inet:127.0.0.1:${port}`];
  const start = performance.now();
  const source = spawn(findPeer('qmqp-source')!, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const [status] = await once(source, 'exit');
  if (status !== 0) throw new Error(`qmqp-source ended with ${status}`);
  return (count * 1000) / (performance.now() - start);
}

function ender(child: ChildProcess): () => Promise<void> {
  return () =>
    new Promise((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) resolve();
      child.on('exit', () => resolve());
      child.kill();
    });
}

async function startHub(): Promise<void> {
  const home = makeHome({ concurrencylocal: '0\n', concurrencyremote: '0\n' });
  // As Postfix does: the log goes to a file, and nobody else's processor time is spent on reading it.
  const hub = await HubProcess.start(home, join(home, 'log'));
  const stop = async () => {
    await hub.end();
    removeHome(home);
  };
  servers.push({ name: 'mini-qmail hub', port: hub.port, count: 5000, stop });
  await startTcpserver(hub.port);
}

/** Our qmail-qmqpd under C tcpserver, its queue program our qmail-qmqpc to the hub; and the original, where it is. */
async function startTcpserver(hubPort: number): Promise<void> {
  const tcpserver = findPeer('tcpserver');
  if (tcpserver === undefined) {
    absent.push('tcpserver');
    return;
  }
  const home = makeHome({ qmqpservers: `qmqp://127.0.0.1:${hubPort}\n` });
  mkdirSync(join(home, 'bin'));
  symlinkSync(join(ROOT, 'bin/qmail-qmqpc'), join(home, 'bin/qmail-queue'));
  const port = await freePort();
  const child = spawn(
    tcpserver,
    [
      '-c',
      '200',
      '-H',
      '-R',
      '-l',
      'bench.example',
      '127.0.0.1',
      String(port),
      join(ROOT, 'bin/qmail-qmqpd'),
    ],
    {
      env: { ...process.env, QMAILHOME: home },
      stdio: 'ignore',
    },
  );
  await accepting(port);
  const end = ender(child);
  servers.push({
    name: 'C tcpserver + our qmail-qmqpd → hub',
    port,
    count: 60,
    stop: () => end().then(() => removeHome(home)),
  });
  const original = '/var/qmail/bin/qmail-qmqpd';
  if (findPeer(original) === undefined) absent.push('the original qmail-qmqpd and qmail-queue');
  else {
    const itsPort = await freePort();
    const its = spawn(
      tcpserver,
      ['-c', '200', '-H', '-R', '-l', 'bench.example', '127.0.0.1', String(itsPort), original],
      { stdio: 'ignore' },
    );
    await accepting(itsPort);
    servers.push({
      name: 'C tcpserver + original qmail-qmqpd',
      port: itsPort,
      count: 1000,
      stop: ender(its),
    });
  }
}

async function startPeers(): Promise<void> {
  if (findPeer('qmqp-sink') === undefined) absent.push('qmqp-sink');
  else {
    const port = await freePort();
    const sink = spawn(findPeer('qmqp-sink')!, [`inet:127.0.0.1:${port}`, '1024'], { stdio: 'ignore' });
    await accepting(port);
    servers.push({ name: 'Postfix qmqp-sink (stores nothing)', port, count: 10_000, stop: ender(sink) });
  }
  const obstacle = missingPostfix();
  if (obstacle !== false) absent.push(`Postfix qmqpd (${obstacle})`);
  else {
    const folder = mkdtempSync(join(tmpdir(), 'bench-postfix-'));
    chmodSync(folder, 0o755);
    const port = await freePort();
    const { stop: end } = await startPostfix(folder, port);
    servers.push({
      name: 'Postfix qmqpd (no queue manager)',
      port,
      count: 2000,
      stop: () => end().then(() => rmSync(folder, { recursive: true })),
    });
  }
}

function ratio(spreads: ReadonlyMap<string, Spread>, peer: string, budget: number): void {
  const ours = spreads.get('mini-qmail hub');
  const theirs = [...spreads].find(([name]) => name.startsWith(peer))?.[1];
  if (ours !== undefined && theirs !== undefined)
    printRatio(`hub against ${peer}`, ours.median / theirs.median, { atLeast: budget });
}

console.log('hub-accept: durable QMQP accepts per second');
if (findPeer('qmqp-source') === undefined) {
  console.log('  nothing measured: qmqp-source (Postfix) is not installed');
} else {
  try {
    await startHub();
    await startPeers();
    for (const sessions of SESSIONS) {
      const candidates: Candidate[] = servers.map(({ name, port, count }) => ({
        name,
        run: () => drive(port, sessions, count),
      }));
      console.log(`\n  qmqp-source -s ${sessions} -l ${SIZE}, ${ROUNDS} rounds`);
      const spreads = await takeTurns(candidates, ROUNDS);
      printSpreads(spreads, 'messages/s');
      ratio(spreads, 'Postfix qmqpd', 5);
      ratio(spreads, 'Postfix qmqp-sink', 0.7);
      ratio(spreads, 'C tcpserver + original', 5);
    }
  } finally {
    for (const { stop } of servers.reverse()) await stop();
  }
}
for (const name of absent) console.log(`  absent: ${name}`);
