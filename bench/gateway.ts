// How many messages a second does a gateway take by SMTP and hand to a hub that stores each before it is acknowledged,
// against Postfix's smtpd with its own queue? Driven by Postfix's smtp-source, 2 KB messages, in one run. Also qmail-smtpd as
// the original tcpserver starts it for each connection. Deliveries are held everywhere: this is about accepting.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../test/support/client-vectors.ts';
import { HubProcess, makeHome, removeHome } from '../test/support/hub-process.ts';
import { accepting, findPeer, freePort } from '../test/support/peers.ts';
import { missingPostfix, startPostfix } from '../test/support/postfix.ts';
import { type Candidate, printRatio, printSpreads, type Spread, takeTurns } from './measure.ts';

const SIZE = 2000;
const ROUNDS = 7;
const OURS = 'tcpserver with qmail-smtpd inside → hub';
const POSTFIX = 'Postfix smtpd (no queue manager)';

/** How the source sends: a connection for each message, as most senders do, or many messages over one. */
const LOADS: readonly (readonly [text: string, args: readonly string[], isManyOverOne: boolean])[] = [
  ['20 at a time, each over its own connection', ['-s', '20'], false],
  ['50 at a time, each over its own connection', ['-s', '50'], false],
  ['50 connections that stay', ['-s', '50', '-d'], true],
];

interface Server {
  readonly name: string;
  readonly port: number;
  /** Messages per round: fewer where each costs a process. */
  readonly count: number;
  stop(): Promise<void>;
}

const servers: Server[] = [];
const absent: string[] = [];

/** Messages per second that the source got rid of. Asynchronous, so that nobody waits for this process to read. */
async function drive(port: number, load: readonly string[], count: number): Promise<number> {
  const message = ['-m', String(count), '-l', String(SIZE), '-M', 'bench.example'];
  const envelope = ['-f', 'bench@example.org', '-t', 'sink@example.net'];
  const start = performance.now();
  const source = spawn(
    findPeer('smtp-source')!,
    [...load, ...message, ...envelope, `inet:127.0.0.1:${port}`],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  const [status] = await once(source, 'exit');
  if (status !== 0) throw new Error(`smtp-source ended with ${status}`);
  return (count * 1000) / (performance.now() - start);
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill();
  await ended;
}

/** A tcpserver in front of our qmail-smtpd, whose messages go to the hub. */
async function startGateway(name: string, tcpserver: string, hubPort: number, count: number): Promise<void> {
  const home = makeHome({ qmqpservers: `qmqp://127.0.0.1:${hubPort}\n` });
  const port = await freePort();
  const words = ['-c', '200', '-b', '200', '-H', '-R', '-l', 'bench.example', '127.0.0.1', String(port)];
  const child = spawn(tcpserver, [...words, join(ROOT, 'bin/qmail-smtpd')], {
    env: { ...process.env, QMAILHOME: home },
    stdio: 'ignore',
  });
  await accepting(port);
  servers.push({ name, port, count, stop: () => end(child).then(() => removeHome(home)) });
}

async function startAll(): Promise<void> {
  const home = makeHome({ concurrencylocal: '0\n', concurrencyremote: '0\n' });
  const hub = await HubProcess.start(home, join(home, 'log'));
  servers.push({ name: 'hub', port: hub.port, count: 0, stop: () => hub.end().then(() => removeHome(home)) });
  await startGateway(OURS, join(ROOT, 'bin/tcpserver'), hub.port, 5000);
  const original = findPeer('tcpserver');
  if (original === undefined) absent.push('the original tcpserver');
  else await startGateway('C tcpserver + our qmail-smtpd → hub', original, hub.port, 60);
  const obstacle = missingPostfix();
  if (obstacle !== false) {
    absent.push(`Postfix smtpd (${obstacle})`);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'bench-postfix-'));
  chmodSync(folder, 0o755);
  const port = await freePort();
  const postfix = await startPostfix(folder, port, { service: 'smtpd' });
  const stop = () => postfix.stop().then(() => rmSync(folder, { recursive: true }));
  servers.push({ name: POSTFIX, port, count: 2000, stop });
}

function ratio(spreads: ReadonlyMap<string, Spread>): void {
  const [ours, theirs] = [spreads.get(OURS), spreads.get(POSTFIX)];
  if (ours !== undefined && theirs !== undefined)
    printRatio('gateway against Postfix smtpd', ours.median / theirs.median, { atLeast: 1.5 });
}

console.log('gateway: durable SMTP accepts per second');
if (findPeer('smtp-source') === undefined) {
  console.log('  nothing measured: smtp-source (Postfix) is not installed');
} else {
  try {
    await startAll();
    for (const [text, args, isManyOverOne] of LOADS) {
      const candidates: Candidate[] = servers
        .filter(({ count }) => count > (isManyOverOne ? 60 : 0))
        .map(({ name, port, count }) => ({ name, run: () => drive(port, args, count) }));
      console.log(`\n  smtp-source -l ${SIZE}, ${text}, ${ROUNDS} rounds`);
      const spreads = await takeTurns(candidates, ROUNDS);
      printSpreads(spreads, 'messages/s');
      ratio(spreads);
    }
  } finally {
    for (const { stop } of servers.reverse()) await stop();
  }
}
for (const name of absent) console.log(`  absent: ${name}`);
