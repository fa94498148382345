import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { Environment } from '../host/raw-arguments.ts';
import { SystemError } from '../host/system-error.ts';
import type { OwnSession } from './own-session.ts';
import type { FindVerdict } from './rules-file.ts';
import { endsOf, serveConnection } from './serve-connection.ts';
import { readTcpserverOptions } from './tcpserver-options.ts';

let folder: string;
let server: Server;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'serve-connection-'));
  writeFileSync(join(folder, 'own'), '', { mode: 0o755 });
  server = createServer({ pauseOnConnect: true, allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
after(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

/** Serves one client with that session, and resolves with the log and what the client got when all is over. */
async function serveOne(
  session: OwnSession,
  findVerdict?: FindVerdict,
): Promise<{ log: string[]; got: string }> {
  const { port } = server.address() as { port: number };
  const client = connect(port, '127.0.0.1');
  const closed = once(client, 'close');
  const got: Buffer[] = [];
  client.on('data', (bytes) => got.push(bytes as Buffer));
  client.on('error', () => {});
  const [socket] = (await once(server, 'connection')) as [Socket];
  const log: string[] = [];
  const letters = ['H', 'R'].map((letter) => ({ letter, argument: bytesOf('') }));
  const localName = { letter: 'l', argument: bytesOf('x') };
  const words = ['0', '0', join(folder, 'own')].map(bytesOf);
  const env = new Environment({ PATH: '/bin', TCPREMOTEHOST: 'stale', KEPT: 'yes' });
  const parsed = { options: [...letters, localName], words, problem: undefined };
  await serveConnection(
    socket,
    endsOf(socket)!,
    {
      options: readTcpserverOptions(parsed, env),
      env,
      localPort: 25,
      findVerdict,
      askDns: async () => 'failed',
      clock: new ManualClock(),
      ownBin: folder,
      ownSession: () => session,
      print: (_, line) => log.push(typeof line === 'string' ? line : textOf(line)),
    },
    () => log.push('became a child'),
  );
  await closed;
  return {
    log: log.map((line) => line.replaceAll(/ 41943\d\d\b/g, ' N')),
    got: Buffer.concat(got).toString(),
  };
}

test('a session gets the environment of its connection, and its exit code is the status', async () => {
  let seen: { readonly [name: string]: string | undefined } = {};
  const findVerdict: FindVerdict = ({ ip }) => ({
    allow: textOf(ip) === '127.0.0.1',
    environment: [{ name: bytesOf('RELAYCLIENT'), value: bytesOf('') }],
  });
  const { log, got } = await serveOne(async ({ io, env }) => {
    seen = env;
    await io.output.write([bytesOf('hello')]);
    return 7;
  }, findVerdict);
  const { KEPT, PROTO, RELAYCLIENT, TCPLOCALHOST, TCPLOCALPORT, TCPREMOTEIP, TCPREMOTEHOST } = seen;
  assert.deepEqual(
    [KEPT, PROTO, RELAYCLIENT, TCPLOCALHOST, TCPLOCALPORT, TCPREMOTEIP, TCPREMOTEHOST],
    ['yes', 'TCP', '', 'x', '25', '127.0.0.1', undefined],
  );
  assert.equal(got, 'hello');
  assert.deepEqual(
    [log[0], log.at(-1)],
    ['tcpserver: pid N from 127.0.0.1\n', 'tcpserver: end N status 1792\n'],
  );
});

test('a session with a bug costs its own connection only', async () => {
  const bugs: OwnSession[] = [
    () => Promise.reject(new Error('oops')),
    () => {
      throw new Error('oops');
    },
  ];
  for (const bug of bugs) {
    const { log, got } = await serveOne(bug);
    assert.equal(got, '');
    assert.deepEqual(log.slice(2), [
      'tcpserver: warning: dropping connection, internal bug: Error: oops\n',
      'tcpserver: end N status 28416\n',
    ]);
  }
});

test('rules that deny or cannot be read keep the session from starting', async () => {
  const never: OwnSession = () => assert.fail('It was started');
  const denied = await serveOne(never, () => ({ allow: false, environment: [] }));
  assert.match(denied.log[1] ?? '', /^tcpserver: deny N /);
  assert.equal(denied.log.at(-1), 'tcpserver: end N status 25600\n');
  const unread = await serveOne(never, () => {
    throw new SystemError('read', 'rules', Object.assign(new Error('x'), { code: 'EACCES' }));
  });
  assert.deepEqual(unread.log.slice(1), [
    'tcpserver: warning: dropping connection, unable to read : access denied\n',
    'tcpserver: end N status 28416\n',
  ]);
});
