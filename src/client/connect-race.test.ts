import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterEach, test } from 'node:test';
import { startFakeServer } from '../../test/support/fake-qmqp-server.ts';
import type { ServerAddress } from '../core/format/server-list.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { ConnectRace, STAGGER_MS } from './connect-race.ts';
import type { ResolveHost } from './resolve-host.ts';

const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0)) await end();
});

async function listener(host = '127.0.0.1', port = 0): Promise<{ port: number; server: Server }> {
  const server = createServer((socket) => socket.on('error', () => undefined).resume());
  await new Promise<void>((resolve) => server.listen({ host, port }, resolve));
  ending.push(() => server.close());
  return { port: (server.address() as AddressInfo).port, server };
}

async function hole(host = '127.0.0.1', port = 0): Promise<number> {
  const server = await startFakeServer(host, port, [['blackhole']]);
  ending.push(() => server.stop());
  return server.port;
}

/** A port on which nobody listens; one that was free a moment ago may be somebody else's by now. */
const CLOSED_PORT = 1;

function race(servers: readonly ServerAddress[], resolve?: ResolveHost) {
  const clock = new ManualClock();
  const told: string[] = [];
  const nameOf = (server: ServerAddress) => String(servers.indexOf(server));
  const running = new ConnectRace(servers, {
    clock,
    resolve,
    onFailure: (server, { exit, isSilent }) => told.push(`${nameOf(server)} ${exit} ${isSilent}`),
    onSilence: (server) => told.push(`${nameOf(server)} silent`),
  });
  const next = async () => {
    const end = await running.next();
    if (typeof end === 'string') return end;
    end.socket.destroy();
    return nameOf(end.server);
  };
  return { clock, told, next };
}

/** Lets sockets and promises do what they can without the clock. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}

const at = (port: number, host = '127.0.0.1') => ({ host, port });

test('ConnectRace connects to the first server and starts no other attempt', async () => {
  const [first, second] = [await listener(), await listener()];
  let connections = 0;
  second.server.on('connection', () => connections++);
  const { clock, told, next } = race([at(first.port), at(second.port)]);
  assert.equal(await next(), '0');
  assert.equal(clock.nextTimerMs(), undefined);
  assert.deepEqual([told, connections], [[], 0]);
});

test('ConnectRace does not overlook a connection that is there when the machine was too busy to tell', async () => {
  const [first, second] = [await listener(), await listener()];
  let connections = 0;
  second.server.on('connection', () => connections++);
  const { clock, told, next } = race([at(first.port), at(second.port)]);
  // As if the time had passed between the call and the next look at sockets, which comes after that at timers.
  const winner = await new Promise<string>((resolve) => {
    setTimeout(() => {
      resolve(next());
      clock.advance(STAGGER_MS);
    });
  });
  await settle();
  assert.deepEqual([winner, told, connections], ['0', [], 0]);
});

test('ConnectRace goes to the next server at once when one refuses', async () => {
  const { told, next } = race([at(CLOSED_PORT), at((await listener()).port)]);
  assert.equal(await next(), '1');
  assert.deepEqual(told, ['0 73 false']);
});

test('ConnectRace starts the next server after a quarter of a second of silence, and tells who was overtaken', async () => {
  const servers = [at(await hole()), at(await hole()), at((await listener()).port)];
  const { clock, told, next } = race(servers);
  const winner = next();
  await settle();
  clock.advance(STAGGER_MS);
  await settle();
  assert.equal(clock.nextTimerMs(), clock.nowMs() + STAGGER_MS);
  clock.advance(STAGGER_MS);
  assert.equal(await winner, '2');
  assert.deepEqual(told, ['0 silent', '1 silent']);
  assert.equal(clock.nextTimerMs(), undefined);
});

test('ConnectRace goes back to those overtaken when the winner was of no use, after those not tried', async () => {
  const servers = [at(await hole()), at((await listener()).port), at((await listener()).port)];
  const { clock, told, next } = race(servers);
  const first = next();
  await settle();
  clock.advance(STAGGER_MS);
  assert.deepEqual([await first, await next()], ['1', '2']);
  const last = next();
  await settle();
  clock.advance(9_999);
  await settle();
  assert.deepEqual(told, ['0 silent']);
  clock.advance(1);
  assert.equal(await last, 'failed');
  assert.deepEqual(told, ['0 silent', '0 72 true']);
});

test('ConnectRace reaches a host of which one family is dead within a quarter of a second, either one', async () => {
  for (const [dead, live] of [
    ['::1', '127.0.0.1'],
    ['127.0.0.1', '::1'],
  ] as const) {
    const { port } = await listener(live);
    await hole(dead, port);
    const { clock, told, next } = race([at(port, 'hub.example')], async () => [dead, live]);
    const winner = next();
    await settle();
    clock.advance(STAGGER_MS);
    assert.equal(await winner, '0');
    assert.deepEqual(told, []);
  }
});

test('ConnectRace looks a name up only when its turn comes, and goes on meanwhile', async () => {
  const { port } = await listener();
  const asked: string[] = [];
  const never: ResolveHost = (host) => {
    asked.push(host);
    return new Promise(() => {});
  };
  const before = race([at(port), at(port, 'one.example')], never);
  assert.equal(await before.next(), '0');
  assert.deepEqual(asked, []);
  const { clock, told, next } = race([at(port, 'two.example'), at(port)], never);
  const winner = next();
  await settle();
  clock.advance(STAGGER_MS);
  assert.equal(await winner, '1');
  assert.deepEqual([asked, told], [['two.example'], ['0 silent']]);
});

test('ConnectRace takes a resolver that fails or is silent for trouble that passes', async () => {
  const failing = (code: string) => () => Promise.reject(Object.assign(new Error(code), { code }));
  for (const [resolve, want] of [
    [failing('EAI_AGAIN'), '0 72 true'],
    [failing('ENOTFOUND'), '0 73 false'],
    [async () => [], '0 73 false'],
    [() => new Promise<never>(() => {}), '0 72 true'],
  ] as const) {
    const { clock, told, next } = race([at(1, 'hub.example')], resolve);
    const end = next();
    await settle();
    clock.advance(10_000);
    assert.equal(await end, 'failed');
    assert.deepEqual(told, [want]);
  }
});

test('ConnectRace fails a server once, when the last of its addresses has', async () => {
  const { told, next } = race([at(CLOSED_PORT, 'hub.example')], async () => [
    '127.0.0.1',
    '::1',
    '127.0.0.2',
  ]);
  assert.equal(await next(), 'failed');
  assert.deepEqual(told, ['0 73 false']);
});

test('ConnectRace connects to a socket file, and refuses one that is not there', async () => {
  const path = `/tmp/connect-race-${process.pid}`;
  const server = createServer().listen(path);
  ending.push(() => server.close());
  await new Promise((resolve) => server.on('listening', resolve));
  const { told, next } = race([
    { ...at(0, ''), path: `${path}.none` },
    { ...at(0, ''), path },
  ]);
  assert.equal(await next(), '1');
  assert.deepEqual(told, ['0 73 false']);
});
