// The built client against servers, names and resolvers that fail: where the message goes, how it ends, and what the next process
// knows of it.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { programUnderTest } from '../support/client-vectors.ts';
import { type FakeServer, type ServerStep, startFakeServer } from '../support/fake-qmqp-server.ts';

const ACCEPTS: ServerStep[] = [['read_all'], ['send', '2:Kk,'], ['close']];
const REQUEST = '30:14:Subject: x\n\nx\n,3:a@b,3:c@d,,';

let home: string;
let running: FakeServer[];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'failover-'));
  mkdirSync(join(home, 'control'));
  writeFileSync(join(home, 'message'), 'Subject: x\n\nx\n');
  writeFileSync(join(home, 'envelope'), 'Fa@b\0Tc@d\0\0');
  running = [];
});
afterEach(async () => {
  for (const server of running) await server.stop();
  rmSync(home, { recursive: true });
});

async function start(steps: ServerStep[], port = 0, host = '127.0.0.1'): Promise<FakeServer> {
  const server = await startFakeServer(host, port, steps);
  running.push(server);
  return server;
}

/** Runs the client, or the client by another program. @returns its exit code, and that it printed nothing */
async function run(servers: string, by: readonly string[] = []): Promise<number | null> {
  const [program = '', ...words] = [...by, programUnderTest('qmail-qmqpc')];
  const files = [openSync(join(home, 'message'), 'r'), openSync(join(home, 'envelope'), 'r')] as const;
  // Shorter than by default, so that the test is.
  const limits = { RES_OPTIONS: 'timeout:1 attempts:1' };
  const env = { PATH: process.env['PATH'], QMAILHOME: home, QMQPSERVERS: servers, ...limits };
  const child = spawn(program, words, { env, stdio: [...files, 'pipe'] });
  for (const file of files) closeSync(file);
  let printed = '';
  child.stderr?.setEncoding('latin1').on('data', (text: string) => {
    printed += text;
  });
  const [exit] = await once(child, 'close');
  assert.equal(printed, '');
  return exit;
}

const at = ({ port }: FakeServer) => `qmqp://127.0.0.1:${port}`;
const requests = ({ received }: FakeServer) => received.map(String);

test('a silent server is passed by, and by the next process not even asked first, until it was silent for long enough', async () => {
  mkdirSync(join(home, 'cache'));
  const silent = await startFakeServer('127.0.0.1', 0, [['blackhole']]);
  const second = await start(ACCEPTS);
  const servers = `${at(silent)} ${at(second)}`;
  assert.equal(await run(servers), 0);
  await silent.stop();
  const back = await start(ACCEPTS, silent.port);
  assert.equal(await run(servers), 0);
  assert.deepEqual([requests(back).length, requests(second)], [0, [REQUEST, REQUEST]]);
  const file = join(home, `cache/mini-qmail-servers.${process.getuid?.() ?? 0}`);
  const lines = readFileSync(file, 'latin1');
  assert.match(lines, new RegExp(`^\\d+ 1 ${at(silent)}\n$`));
  writeFileSync(file, lines.replace(/^\d+/, String(Math.floor(Date.now() / 1000) - 61)));
  assert.equal(await run(servers), 0);
  assert.deepEqual(requests(back), [REQUEST]);
  assert.equal(readFileSync(file, 'latin1'), '');
});

test('one variable is enough: names, ports, socket files, whatever family is dead', async () => {
  const server = await start(ACCEPTS);
  assert.equal(await run(`localhost:${server.port}`), 0);
  assert.equal(await run(`[::1]:${server.port},127.0.0.1:${server.port}`), 0);
  assert.equal(await run(`unix:${home}/none\nlocalhost:${server.port} hub`), 0);
  assert.deepEqual(requests(server), [REQUEST, REQUEST, REQUEST]);
  assert.equal(await run(`unix:${home}/none`), 73);
});

test('an entry that cannot be followed is not used with less, and alone is no configuration', async () => {
  const server = await start(ACCEPTS);
  for (const options of ['tls=', 'cret=/c', 'gzip=9', 'tls tls'])
    assert.equal(await run(`127.0.0.1:${server.port} ${options}`), 55);
  assert.equal(server.received.length, 0);
});

/** Runs the client with another file in that place, in a mount namespace of its own. */
function withFile(path: string, content: string): readonly string[] {
  const own = join(home, basename(path));
  writeFileSync(own, content);
  return ['unshare', '-m', 'sh', '-c', `mount --bind ${own} ${path} && exec "$0"`];
}

/** Not a peer but a right, which containers often lack; the units below are tested without it. */
const noNamespace =
  spawnSync('unshare', ['-m', 'mount', '--bind', '/etc/hosts', '/etc/hosts']).status !== 0 &&
  'mount namespaces are not to be had';

test('a host is reached when one of its families is dead, either one', { skip: noNamespace }, async () => {
  for (const [dead, live] of [
    ['::1', '127.0.0.1'],
    ['127.0.0.1', '::1'],
  ] as const) {
    const server = await start(ACCEPTS, 0, live);
    await start([['blackhole']], server.port, dead);
    const by = withFile('/etc/hosts', `${dead} hub.example\n${live} hub.example\n`);
    const startMs = performance.now();
    assert.equal(await run(`hub.example:${server.port}`, by), 0);
    assert.ok(performance.now() - startMs < 8000, 'it waited for the dead one');
    assert.deepEqual(requests(server), [REQUEST]);
  }
});

test('a resolver that is silent, fails or knows no such name is temporary, and no server behind it suffers', {
  skip: noNamespace,
}, async () => {
  const server = await start(ACCEPTS);
  for (const [rcode, exit] of [
    [undefined, 72],
    [2, 72],
    [3, 73],
  ] as const) {
    const resolver = createSocket('udp4').on('message', (query, { port, address }) => {
      if (rcode === undefined) return;
      const answer = Buffer.from(query);
      answer.writeUInt16BE(0x8180 | rcode, 2);
      answer.writeUInt16BE(0, 10);
      resolver.send(answer.subarray(0, answer.indexOf(0, 12) + 5), port, address);
    });
    resolver.bind(53, '127.0.0.153');
    await once(resolver, 'listening');
    const by = withFile('/etc/resolv.conf', 'nameserver 127.0.0.153\n');
    const startMs = performance.now();
    assert.equal(await run('hub.example', by), exit);
    assert.ok(performance.now() - startMs < 20_000);
    assert.equal(await run(`hub.example ${at(server)}`, by), 0);
    resolver.close();
  }
  assert.equal(server.received.length, 3);
});
