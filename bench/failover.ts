// What does a server that is down cost a message? A whole qmail-qmqpc process with two servers in its list, the first of which
// refuses, is silent as behind a firewall that drops packets, or lets a part of the request in and breaks off; the second accepts.
// A silent server is a listener whose queue is full: the kernel drops every attempt, as it drops what a filter forbids.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../test/support/client-vectors.ts';
import { type FakeServer, type ServerStep, startFakeServer } from '../test/support/fake-qmqp-server.ts';
import { freePort } from '../test/support/peers.ts';
import { printSpreads, takeTurns } from './measure.ts';

const ROUNDS = 15;
/** What a silent server may cost, in milliseconds. */
const ADDED_MAX = 300;
const ACCEPTS: ServerStep[] = [['read_all'], ['send', '2:Kk,'], ['close']];

const home = mkdtempSync(join(tmpdir(), 'failover-'));
const knowing = join(home, 'knowing');
for (const folder of ['control', 'knowing/control', 'knowing/cache'])
  mkdirSync(join(home, folder), { recursive: true });
writeFileSync(
  join(home, 'message'),
  `Message-ID: <1.report@host.example>\nSubject: report\n\n${'All is well. '.repeat(150)}\n`,
);
writeFileSync(join(home, 'envelope'), 'Fa@b.example\0Tc@d.example\0\0');

/** Milliseconds from before the start to after the end. */
async function time(servers: string, qmailHome = home): Promise<number> {
  const files = ['message', 'envelope'].map((name) => openSync(join(home, name), 'r'));
  const start = performance.now();
  const child = spawn(join(ROOT, 'bin/qmail-qmqpc'), {
    env: { QMAILHOME: qmailHome, QMQPSERVERS: servers },
    stdio: [files[0], files[1], 'inherit'],
  });
  const [exit] = await once(child, 'exit');
  const took = performance.now() - start;
  for (const file of files) closeSync(file);
  if (exit !== 0) throw new Error(`qmail-qmqpc ended with ${exit} for ${servers}`);
  return took;
}

const running: FakeServer[] = [];
async function start(host: string, port: number, steps: ServerStep[]): Promise<number> {
  const server = await startFakeServer(host, port, steps);
  running.push(server);
  return server.port;
}

console.log(
  `failover: wall time of a whole qmail-qmqpc with a server that is down before one that accepts, ${ROUNDS} rounds`,
);
try {
  const port = await start('127.0.0.1', 0, ACCEPTS);
  const live = `127.0.0.1:${port}`;
  const silent = `127.0.0.1:${await start('127.0.0.1', 0, [['blackhole']])}`;
  const refusing = `127.0.0.1:${await freePort()}`;
  const cutting = `127.0.0.1:${await start('127.0.0.1', 0, [['reset']])}`;
  const known = `${silent},${live}`;
  const ALONE = 'only the one that accepts';
  const spreads = await takeTurns(
    [
      { name: ALONE, run: () => time(live) },
      { name: 'first refuses', run: () => time(`${refusing},${live}`) },
      { name: 'first is silent', run: () => time(`${silent},${live}`) },
      { name: 'first is silent, remembered', run: () => time(known, knowing) },
      { name: 'first and second are silent', run: () => time(`${silent},${silent},${live}`) },
      { name: 'by name', run: () => time(`localhost:${port}`) },
      { name: 'first is cut, same hub behind it', run: () => time(`${cutting} hub=x,${live} hub=x`) },
    ],
    ROUNDS,
  );
  printSpreads(spreads, 'ms');
  const alone = spreads.get(ALONE)!.median;
  for (const name of ['first refuses', 'first is silent']) {
    const added = spreads.get(name)!.median - alone;
    console.log(
      `  ${name}: ${added.toFixed(0)} ms more, budget ≤ ${ADDED_MAX} ms, ${added <= ADDED_MAX ? 'met' : 'NOT MET'}`,
    );
  }
} finally {
  for (const server of running) await server.stop();
  rmSync(home, { recursive: true });
}
