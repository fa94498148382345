// How many connections does tcpserver take per second when its program is one of ours and runs within, against the original
// tcpserver starting /bin/true for each? And what memory do 10,000 idle connections cost?
// Each client connects, ends its side at once, and waits for the server's end.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../test/support/client-vectors.ts';
import { findPeer } from '../test/support/peers.ts';
import { startTcpserver, type TcpserverProcess } from '../test/support/tcpserver-process.ts';
import { printRatio, printSpreads, takeTurns } from './measure.ts';
import { idleMegabytes, printIdle } from './support/idle-clients.ts';

const ROUNDS = 5;
const CONNECTIONS = 2000;
const AT_A_TIME = 20;
const IDLE = { count: 10_000, words: '1', isGreeted: false };

const home = mkdtempSync(join(tmpdir(), 'bench-tcpserver-'));
mkdirSync(join(home, 'control'));
writeFileSync(join(home, 'control/me'), 'bench.example\n');

function start(program: string, limit: number, child: string): TcpserverProcess {
  const args = ['-1RHl', 'bench.example', '-b', '1000', '-c', String(limit), '127.0.0.1', '0', child];
  return startTcpserver({ program, args, env: { PATH: '/usr/bin:/bin', QMAILHOME: home }, folder: home });
}

async function connectOnce(port: number): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  // With data unread the server's end may be a reset.
  socket.on('error', () => {});
  socket.resume();
  socket.end();
  await new Promise((resolve) => socket.on('end', resolve).on('close', resolve));
  socket.destroy();
}

/** Connections per second. */
async function rate(server: TcpserverProcess): Promise<number> {
  const port = await server.port();
  let left = CONNECTIONS;
  const from = performance.now();
  await Promise.all(
    Array.from({ length: AT_A_TIME }, async () => {
      while (left-- > 0) await connectOnce(port);
    }),
  );
  return (CONNECTIONS * 1000) / (performance.now() - from);
}

/** Megabytes that a server holds with clients that have said a part of a request. */
async function measureIdle(child: string): Promise<number> {
  const server = start(join(ROOT, 'bin/tcpserver'), IDLE.count + 10, child);
  const megabytes = await idleMegabytes(await server.port(), server.pid, IDLE);
  await server.stop();
  return megabytes;
}

console.log(`tcpserver-connections: ${CONNECTIONS} connections, ${AT_A_TIME} at a time, ${ROUNDS} rounds`);
const original = findPeer('tcpserver');
const servers = new Map([
  ['ours, qmail-qmqpd within', start(join(ROOT, 'bin/tcpserver'), 40, join(ROOT, 'bin/qmail-qmqpd'))],
  ['ours, starting /bin/true', start(join(ROOT, 'bin/tcpserver'), 40, '/bin/true')],
]);
if (original !== undefined) servers.set('original, starting /bin/true', start(original, 40, '/bin/true'));
const rates = await takeTurns(
  [...servers].map(([name, server]) => ({ name, run: () => rate(server) })),
  ROUNDS,
);
for (const server of servers.values()) await server.stop();
printSpreads(rates, 'connections/s');
const [own, peer] = [rates.get('ours, qmail-qmqpd within'), rates.get('original, starting /bin/true')];
if (own !== undefined && peer !== undefined) {
  printRatio('ours within, against the original', own.median / peer.median, { atLeast: 1 });
} else console.log('  no tcpserver to compare with');
for (const child of ['qmail-qmqpd', 'qmail-smtpd']) {
  printIdle(child, IDLE, await measureIdle(join(ROOT, 'bin', child)));
}
rmSync(home, { recursive: true });
