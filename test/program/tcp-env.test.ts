// tcp-env as a process on a connection, as inetd starts it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { it } from 'node:test';
import { ROOT } from '../support/client-vectors.ts';
import { startFakeDns } from '../support/fake-dns-server.ts';

const PROGRAM = join(ROOT, 'bin/tcp-env');
const DNS_HOST = '127.7.12.1';
const needsRoot = process.getuid?.() === 0 ? false : 'needs root for port 53';

/** Lets tcp-env serve one connection to that address; what the client got, and the client's port. */
async function serve(host: string, args: readonly string[], env: object) {
  const server = createServer({ pauseOnConnect: true });
  server.listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const client = connect({ host, port });
  client.on('error', () => {});
  const accepted = once(server, 'connection');
  await once(client, 'connect');
  const [socket] = (await accepted) as [Socket];
  const remotePort = client.localPort;
  let got = '';
  client.setEncoding('latin1').on('data', (text: string) => {
    got += text;
  });
  // A program that does not read all makes the kernel reset the connection.
  const closed = new Promise((resolve) => client.on('close', resolve));
  const child = spawn(PROGRAM, args, { env: { ...env }, stdio: [socket, socket, 'pipe'] });
  const exited = once(child, 'exit');
  socket.destroy();
  client.end('hello\n');
  const [exit] = await exited;
  await closed;
  server.close();
  return { exit, got, port, remotePort };
}

it('says who is there, and becomes the program on the same descriptors', { skip: needsRoot }, async () => {
  const zone = { '1.0.0.127.in-addr.arpa PTR': ['Client.Example'] };
  const dns = await startFakeDns({ host: DNS_HOST, port: 53, zone });
  const env = { PATH: '/usr/bin:/bin', DNSCACHEIP: DNS_HOST, TCPREMOTEINFO: 'stale' };
  try {
    const { exit, got, port, remotePort } = await serve('127.0.0.1', ['-zR', 'sh', '-c', 'env; cat'], env);
    assert.equal(exit, 0);
    const lines = got.split('\n').filter((line) => /^(?:PROTO|TCP|hello)/.test(line));
    assert.deepEqual(lines.sort(), [
      'PROTO=TCP',
      'TCPLOCALHOST=client.example',
      'TCPLOCALIP=127.0.0.1',
      `TCPLOCALPORT=${port}`,
      'TCPREMOTEHOST=client.example',
      'TCPREMOTEIP=127.0.0.1',
      `TCPREMOTEPORT=${remotePort}`,
      'hello',
    ]);
  } finally {
    await dns.stop();
  }
});

it('has no name of an address without one', { skip: needsRoot }, async () => {
  const dns = await startFakeDns({ host: DNS_HOST, port: 53, zone: {} });
  const env = { PATH: '/usr/bin:/bin', DNSCACHEIP: DNS_HOST, TCPREMOTEHOST: 'stale', PROTO: 'UDP' };
  try {
    const { got } = await serve('127.7.7.2', ['-R', 'env'], env);
    assert.match(got, /^TCPLOCALIP=127\.7\.7\.2$/m);
    assert.doesNotMatch(got, /^TCP(?:LOCAL|REMOTE)HOST=/m);
  } finally {
    await dns.stop();
  }
});

it('ends with 111 in silence where there is no connection', async () => {
  const child = spawn(PROGRAM, ['true'], { env: { PATH: '/usr/bin:/bin' } });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (printed += text));
  child.stdin.on('error', () => {});
  child.stdin.end();
  const [exit] = await once(child, 'close');
  assert.deepEqual([exit, printed], [111, '']);
});

it('asks nobody when the environment says that all is known', async () => {
  const child = spawn(PROGRAM, ['-t1', 'sh', '-c', 'echo $TCPREMOTEIP'], {
    env: { PATH: '/usr/bin:/bin', PROTO: 'TCP', TCPREMOTEIP: '192.0.2.1' },
  });
  let printed = '';
  child.stdout.on('data', (text) => (printed += text));
  const [exit] = await once(child, 'close');
  assert.deepEqual([exit, printed], [0, '192.0.2.1\n']);
});
