import assert from 'node:assert/strict';
import { createServer, type Server, type Socket } from 'node:net';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { startFakeServer } from '../../test/support/fake-qmqp-server.ts';
import type { ReadyStream } from '../client/ready-stream.ts';
import { QmqpServerSession } from '../core/protocol/qmqp/server-session.ts';
import { type ProbeResult, probeServer } from './probe-server.ts';

const TIMES = { connectMs: 2000, quietMs: 100, answerMs: 300 };
const HOST = '127.0.0.1';

async function noTls(): Promise<ReadyStream> {
  throw new Error('certificate has expired');
}

/** Probes a server that does this with each connection, and closes it when the client does. */
async function probed(
  serve: (socket: Socket) => void,
  options: { hub?: string; gzip?: true; tls?: object } = {},
): Promise<ProbeResult> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    serve(socket);
  });
  await listen(server);
  const { port } = server.address() as { port: number };
  try {
    return await probeServer({ host: HOST, port, ...options }, HOST, noTls, TIMES);
  } finally {
    server.close();
  }
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, HOST, () => resolve()));
}

/** Reads by the session of our hub and qmail-qmqpd, and fails the test if it ever has a message to take. */
function qmqp(socket: Socket): void {
  const session = new QmqpServerSession();
  socket.on('data', (bytes: Buffer) => {
    session.receive(bytes[0] === 0x1f ? gunzipSync(bytes) : bytes);
    for (let event = session.next(); event !== 'need-input' && event !== 'closed'; event = session.next()) {
      if (event === 'need-decision') continue;
      if (event.type === 'violation') return void socket.destroy();
      if (event.type !== 'request-end') continue;
      assert.equal(event.refused, true, 'a message was submitted');
      session.decide({ letter: 'K', text: 'taken' });
      for (const reply of session.takeOutput()) socket.end(reply);
    }
  });
}

const CASES: readonly {
  name: string;
  serve: (socket: Socket) => void;
  options?: { hub?: string; gzip?: true; tls?: object };
  wanted: Partial<ProbeResult>;
}[] = [
  { name: 'a QMQP server', serve: qmqp, wanted: { kind: 'takes-mail' } },
  { name: 'our hub', serve: qmqp, options: { hub: '' }, wanted: { kind: 'takes-mail' } },
  { name: 'our hub by gzip', serve: qmqp, options: { hub: '', gzip: true }, wanted: { kind: 'takes-mail' } },
  {
    name: 'a server whose rules deny us',
    serve: (socket) => socket.destroy(),
    wanted: { kind: 'closed-at-once' },
  },
  {
    name: 'a server that says so',
    serve: (socket) => socket.end('20:DError: no access 99,'),
    wanted: { kind: 'refused', text: 'DError: no access 99' },
  },
  {
    name: 'a hub that has no room',
    serve: (socket) => socket.once('data', () => socket.end('5:Zfull,')),
    options: { hub: '' },
    wanted: { kind: 'refused', text: 'Zfull' },
  },
  {
    name: 'a server that complains about the form of a request, as Postfix',
    serve: (socket) => socket.once('data', () => socket.end('13:Dformat error,')),
    wanted: { kind: 'takes-mail' },
  },
  {
    name: 'a server that denies us when it has read something',
    serve: (socket) => socket.once('data', () => socket.end('5:Dnope,')),
    wanted: { kind: 'refused', text: 'Dnope' },
  },
  {
    name: 'an SMTP server',
    serve: (socket) => socket.write('220 mx.example ESMTP\r\n'),
    wanted: { kind: 'not-qmqp', text: '220 mx.example ESMTP' },
  },
  {
    name: 'a web server',
    serve: (socket) => socket.once('data', () => socket.end('HTTP/1.0 400 Bad\r\n')),
    wanted: { kind: 'not-qmqp', text: 'HTTP/1.0 400 Bad' },
  },
  { name: 'a server that hangs', serve: (socket) => socket.resume(), wanted: { kind: 'silent' } },
  {
    name: 'a server of another name by TLS',
    serve: qmqp,
    options: { tls: {} },
    wanted: { kind: 'tls-failed', reason: 'certificate has expired' },
  },
];

for (const { name, serve, options, wanted } of CASES) {
  test(`probeServer() finds ${name}, and submits nothing`, async () => {
    const result: object = await probed(serve, options);
    assert.deepEqual({ ...result, ...wanted }, result);
  });
}

test('probeServer() finds a server that is down, and one that drops packets', async () => {
  const down = await probeServer({ host: HOST, port: 1 }, HOST, noTls, TIMES);
  assert.deepEqual(down, { kind: 'unreachable', reason: 'connection refused' });
  const hole = await startFakeServer(HOST, 0, [['blackhole']]);
  try {
    const silent = await probeServer({ host: HOST, port: hole.port }, HOST, noTls, {
      ...TIMES,
      connectMs: 200,
    });
    assert.deepEqual(silent, { kind: 'unreachable', reason: 'no answer' });
  } finally {
    await hole.stop();
  }
  const missing = await probeServer({ host: '', port: 0, path: '/nonexistent/qmqp' }, '', noTls, TIMES);
  assert.deepEqual(missing, { kind: 'unreachable', reason: 'file does not exist' });
});
