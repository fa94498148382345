// tcpserver where the original's vectors do not lead: rules that change or break, many connections, clients that misbehave,
// descriptors, IPv6, sockets from systemd, and the end.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { ROOT } from '../support/client-vectors.ts';
import { compileRules } from '../support/compile-rules.ts';
import { connectClient, startTcpserver, type TcpserverProcess } from '../support/tcpserver-process.ts';

const REQUEST = '15:2:m\n,1:s,3:r@y,,';
const QMQPD = join(ROOT, 'bin/qmail-qmqpd');

let folder: string;
let running: TcpserverProcess[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tcpserver-faults-'));
  mkdirSync(join(folder, 'control'));
  writeFileSync(join(folder, 'recorder'), '#!/bin/sh\ncat >/dev/null; cat <&1 >/dev/null\n', { mode: 0o755 });
  running = [];
});
afterEach(async () => {
  for (const server of running) await server.stop();
  rmSync(folder, { recursive: true });
});

async function start(args: readonly string[], env = {}): Promise<{ server: TcpserverProcess; port: number }> {
  const server = startTcpserver({
    program: join(ROOT, 'bin/tcpserver'),
    args: ['-1RHl', 'local.example', ...args],
    env: { PATH: '/usr/bin:/bin', QMAILHOME: folder, QMAILQUEUE: join(folder, 'recorder'), ...env },
    folder,
  });
  running.push(server);
  return { server, port: await server.port() };
}

function useRules(rules: string): void {
  const compiled = compileRules(rules);
  assert.ok('cdb' in compiled);
  writeFileSync(join(folder, 'rules.tmp'), compiled.cdb);
  renameSync(join(folder, 'rules.tmp'), join(folder, 'rules.cdb'));
}

async function talk(port: number, { from = '127.0.0.1', to = '127.0.0.1', send = '' } = {}): Promise<string> {
  return (await connectClient({ from, to, port }, send)).finish();
}

function childrenOf(pid: number): string {
  const tasks = readdirSync(`/proc/${pid}/task`);
  return tasks.map((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8')).join('');
}

const openDescriptors = (pid: number) => readdirSync(`/proc/${pid}/fd`).length;

test('rules count from the next connection on, and let nobody in while they cannot be read', async () => {
  const { server, port } = await start(['-x', 'rules.cdb', '127.0.0.1', '0', '/bin/echo', 'hello']);
  const path = join(folder, 'rules.cdb');
  const says: string[] = [];
  const next = async () => says.push(await talk(port));
  await next();
  useRules(':allow\n');
  await next();
  useRules('127.:deny\n');
  await next();
  useRules('127.0.0.1:allow\n:deny\n');
  await next();
  // Written in place, and cut off behind the header.
  writeFileSync(path, readFileSync(path).subarray(0, 2060));
  await next();
  writeFileSync(path, '');
  await next();
  rmSync(path);
  mkdirSync(path);
  await next();
  rmSync(path, { recursive: true });
  useRules(':allow\n');
  await next();
  assert.deepEqual(says, ['', 'hello\n', '', 'hello\n', '', '', '', 'hello\n']);
  const reasons = server
    .log()
    .replaceAll('tcpserver: warning: dropping connection, unable to read rules.cdb: ', '');
  assert.equal(reasons, 'file does not exist\nprotocol error\nprotocol error\nis a directory\n');
  assert.ok(openDescriptors(server.pid) < 40);
});

test('a rule sets what a session in the process sees, for its connection only', async () => {
  writeFileSync(join(folder, 'other'), '#!/bin/sh\nexit 31\n', { mode: 0o755 });
  useRules(`127.0.0.7:allow,QMAILQUEUE="${join(folder, 'other')}"\n`);
  const { port } = await start(['-x', 'rules.cdb', '127.0.0.1', '0', QMQPD]);
  const replies = await Promise.all(
    ['127.0.0.7', '127.0.0.8', '127.0.0.7'].map((from) => talk(port, { from, send: REQUEST })),
  );
  assert.match(replies.join('\n'), /^\d+:Dmail server .*\n\d+:Kok .*\n\d+:Dmail server /);
});

test('connections beyond the limit wait their turn', async () => {
  const { server, port } = await start(['-v', '-c', '1', '127.0.0.1', '0', '/bin/cat']);
  const clients = [];
  for (const send of ['a', 'b', 'c']) {
    clients.push(await connectClient({ from: '127.0.0.1', to: '127.0.0.1', port }, send));
  }
  await server.logged(/ ok /g, 1);
  // The third gives up while it waits.
  clients[2]!.socket.destroy();
  assert.deepEqual([await clients[0]!.finish(), await clients[1]!.finish()], ['a', 'b']);
  await server.logged(/ end /g, 3);
  assert.doesNotMatch(server.log(), /status: 2/);
  const order = [...server.log().matchAll(/ ok .*:(\d+)$/gm)].map(([, clientPort]) => Number(clientPort));
  assert.deepEqual(
    order,
    clients.map((client) => client.port),
  );
});

test('a program gets one blocking socket as its input and output, and leaves no process behind', async () => {
  const script = 'for n in 0 1; do stat -Lc "%F %i" /proc/$$/fd/$n; grep flags /proc/$$/fdinfo/$n; done';
  const { server, port } = await start(['127.0.0.1', '0', '/bin/sh', '-c', script]);
  const lines = (await talk(port)).trim().split('\n');
  assert.equal(lines.length, 4);
  assert.match(lines[0]!, /^socket \d+$/);
  assert.equal(lines[2], lines[0]);
  const flags = Number.parseInt(/\d+$/.exec(lines[1]!)?.[0] ?? '', 8);
  assert.equal(flags & 0o4000, 0, 'O_NONBLOCK');
  // The client may see the end before the server has waited for the program.
  while (childrenOf(server.pid) !== '') await new Promise(setImmediate);
});

test('a program gets no descriptors of the server', async () => {
  const { port } = await start(['127.0.0.1', '0', '/bin/sh', '-c', 'ls -l /proc/$$/fd']);
  const shown = (await talk(port)).match(/\d+ -> .*/g) ?? [];
  // Those that every child of this process has are no matter. Descriptor 2 is one of Node's socket pairs in tests.
  const own = readdirSync('/proc/self/fd');
  const others = shown.filter(
    (entry) => !own.includes(entry.split(' ')[0]!) || /eventpoll|eventfd|socket/.test(entry),
  );
  assert.deepEqual(
    others.map((entry) => entry.replace(/\d+\]$/, ']')),
    ['0 -> socket:[]', '1 -> socket:[]', '2 -> socket:[]'],
  );
});

test('a thousand connections leave no descriptor open, in the process or started', async () => {
  const { server, port } = await start(['-b', '200', '127.0.0.1', '0', QMQPD]);
  await talk(port, { send: REQUEST });
  const before = openDescriptors(server.pid);
  for (let round = 0; round < 50; round++) {
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const client = await connectClient({ from: '127.0.0.1', to: '127.0.0.1', port }, i % 2 ? '15:2' : '');
        if (i % 4 === 0) client.socket.resetAndDestroy();
        else await client.finish();
      }),
    );
  }
  assert.match(await talk(port, { send: REQUEST }), /^\d+:Kok /);
  assert.ok(
    openDescriptors(server.pid) <= before + 5,
    `${before} before, ${openDescriptors(server.pid)} after`,
  );
  const started = await start(['127.0.0.1', '0', '/bin/true']);
  await talk(started.port);
  const few = openDescriptors(started.server.pid);
  for (let i = 0; i < 30; i++) await talk(started.port);
  assert.ok(openDescriptors(started.server.pid) <= few + 1);
});

test('2,000 idle clients, and some that send much and never read, keep nobody out and cost little memory', async () => {
  const { server, port } = await start(['-c', '5000', '-b', '1000', '127.0.0.1', '0', QMQPD]);
  const sockets: Socket[] = [];
  for (let batch = 0; batch < 20; batch++) {
    const opened = Array.from({ length: 100 }, () => connect({ port, host: '127.0.0.1' }));
    sockets.push(...opened);
    await Promise.all(opened.map((socket) => once(socket, 'connect')));
  }
  for (const [i, socket] of sockets.entries()) {
    socket.on('error', () => {});
    socket.pause();
    if (i % 2 === 0) socket.write('1');
    if (i % 200 === 0) socket.write(Buffer.alloc(100_000, '9'));
  }
  assert.match(await talk(port, { send: REQUEST }), /^\d+:Kok /);
  const kilobytes = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1]);
  for (const socket of sockets) socket.destroy();
  assert.ok(kilobytes < 120_000, `${kilobytes} kB`);
});

test('a server without a descriptor to spare goes on serving', async () => {
  const limited = join(folder, 'limited');
  writeFileSync(limited, `#!/bin/sh\nulimit -n 60\nexec '${join(ROOT, 'bin/tcpserver')}' "$@"\n`);
  chmodSync(limited, 0o755);
  const server = startTcpserver({
    program: limited,
    args: ['-1RHl', 'x', '-c', '500', '-b', '100', '127.0.0.1', '0', QMQPD],
    env: { PATH: '/usr/bin:/bin', QMAILHOME: folder, QMAILQUEUE: join(folder, 'recorder') },
    folder,
  });
  running.push(server);
  const port = await server.port();
  const sockets = Array.from({ length: 90 }, () => connect({ port, host: '127.0.0.1' }));
  for (const socket of sockets) socket.on('error', () => {});
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  for (const socket of sockets) socket.destroy();
  for (;;) if (/^\d+:Kok /.test(await talk(port, { send: REQUEST }).catch(() => ''))) break;
});

test('IPv6 clients are told as such, and IPv4 clients of the same socket as ever', async () => {
  for (const host of ['::', '[::1]']) {
    const { server, port } = await start(['-v', host, '0', '/usr/bin/env']);
    const env = (await talk(port, { from: '::1', to: '::1' })).split('\n');
    const wanted = [
      'PROTO=TCP6',
      'TCPREMOTEIP=::1',
      'TCPLOCALIP=::1',
      'TCP6REMOTEIP=::1',
      `TCP6LOCALPORT=${port}`,
    ];
    assert.deepEqual(
      wanted.filter((variable) => !env.includes(variable)),
      [],
    );
    assert.match(server.log(), / from ::1\n/);
    if (host !== '::') continue;
    const old = (await talk(port)).split('\n');
    assert.deepEqual(
      ['PROTO=TCP', 'TCPREMOTEIP=127.0.0.1'].filter((variable) => !old.includes(variable)),
      [],
    );
    assert.deepEqual(
      old.filter((variable) => variable.startsWith('TCP6')),
      [],
    );
  }
});

test('a socket that systemd passes is used, and the program does not hear of it', async () => {
  const passed = createServer().listen(0, '127.0.0.1');
  await once(passed, 'listening');
  const { port } = passed.address() as { port: number };
  const script = `exec env LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=x "$@"`;
  const args = [
    join(ROOT, 'bin/tcpserver'),
    '-1RHl',
    'x',
    '192.0.2.1',
    '1',
    '/bin/sh',
    '-c',
    'env; ls -l /proc/$$/fd',
  ];
  const child = spawn('/bin/sh', ['-c', script, 'sh', ...args], {
    // Node's types leave out what its documentation has.
    stdio: ['ignore', 'pipe', 'inherit', (passed as unknown as { _handle: never })._handle],
  });
  try {
    const [line] = await once(child.stdout!, 'data');
    assert.equal(String(line), `${port}\n`);
    passed.close();
    const shown = await talk(port);
    assert.match(shown, /^PROTO=TCP$/m);
    assert.doesNotMatch(shown, /LISTEN_| 3 -> socket/);
  } finally {
    child.kill();
    await once(child, 'exit');
  }
});

test('SIGTERM closes the port at once and lets a session in the process end', async () => {
  const { server, port } = await start(['127.0.0.1', '0', QMQPD]);
  const client = await connectClient({ from: '127.0.0.1', to: '127.0.0.1', port }, REQUEST.slice(0, 5));
  await talk(port, { send: REQUEST });
  process.kill(server.pid, 'SIGTERM');
  while ((await talk(port).catch((error: Error) => error.message)) === '') await new Promise(setImmediate);
  client.socket.write(REQUEST.slice(5));
  assert.match(await client.finish(), /^\d+:Kok /);
  assert.equal(await server.ended, 0);
});

test('a started program outlives SIGTERM', async () => {
  const { server, port } = await start(['-v', '127.0.0.1', '0', '/bin/cat']);
  const client = await connectClient({ from: '127.0.0.1', to: '127.0.0.1', port });
  await server.logged(/ ok /g, 1);
  process.kill(server.pid, 'SIGTERM');
  const exit = await once(spawn('tail', ['-f', `--pid=${server.pid}`, '/dev/null']), 'exit');
  assert.equal(exit[0], 0);
  client.socket.write('still here');
  assert.equal(await client.finish(), 'still here');
  assert.equal(await server.ended, 0);
});
