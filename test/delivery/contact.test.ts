// What the SMTP transport says of a destination beside the outcome: whether it answered, and that it gives up when asked to.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { bytesOf } from '../../src/core/bytes/bytes.ts';
import type { Connect } from '../../src/delivery/connect-socket.ts';
import type { MailResolver } from '../../src/delivery/mail-exchanger.ts';
import { SmtpTransport } from '../../src/delivery/remote-smtp.ts';
import type { RemoteDelivery } from '../../src/delivery/transport.ts';
import { ManualClock } from '../../src/host/manual-clock.ts';
import { agree, ScriptedServer } from './smtp-server.ts';

const RESOLVER: MailResolver = {
  resolveMx: async () => [
    { exchange: 'mx2.far.example', priority: 20 },
    { exchange: 'MX1.far.example.', priority: 10 },
  ],
  resolve4: async (name) => [name.startsWith('mx1') ? '127.0.0.1' : '127.0.0.2'],
  resolve6: async () => [],
};

function transportWith(
  options: { connect?: Connect; resolver?: Partial<MailResolver>; clock?: ManualClock } = {},
) {
  const { clock = new ManualClock(), connect } = options;
  return new SmtpTransport({
    heloName: 'me.example',
    timeoutConnectMs: 1000,
    timeoutRemoteMs: 5000,
    clock,
    ...(connect && { connect }),
    lookUp: { ownAddresses: () => new Set(), resolver: { ...RESOLVER, ...options.resolver } },
  });
}

function deliveryTo(port: number, more: Partial<RemoteDelivery> = {}): RemoteDelivery {
  return {
    destination: { key: 'far.example', host: 'far.example', port, routed: false },
    sender: bytesOf('s@a.example'),
    recipients: [bytesOf('u@far.example')],
    message: bytesOf('x\n'),
    ...more,
  };
}

const failing =
  (code: string, tried: string[] = []): Connect =>
  (address) => {
    tried.push(address);
    return Promise.reject(Object.assign(new Error(code), { code }));
  };

test('a host that answers names its best mail exchanger, on a kept connection too', async () => {
  const server = await ScriptedServer.start(agree());
  const transport = transportWith();
  const named: (string | undefined)[] = [];
  for (let i = 0; i < 2; i++) {
    const delivery = deliveryTo(server.port, { onAnswer: (exchanger) => named.push(exchanger) });
    assert.equal((await transport.deliver(delivery)).contact, 'answered');
  }
  assert.deepEqual(named, ['mx1.far.example', 'mx1.far.example']);
  await transport.close();
  await server.close();
});

test('addresses that time out are left alone for a minute, then tried again', async () => {
  const tried: string[] = [];
  const clock = new ManualClock();
  const transport = transportWith({ connect: failing('ETIMEDOUT', tried), clock });
  const contact = async () => (await transport.deliver(deliveryTo(25))).contact;
  assert.equal(await contact(), 'none');
  assert.deepEqual(tried, ['127.0.0.1', '127.0.0.2']);
  clock.advance(59_999);
  assert.equal(await contact(), 'none');
  assert.equal(tried.length, 2);
  clock.advance(1);
  assert.equal(await contact(), 'none');
  assert.equal(tried.length, 4);
});

test('a refused connection is an answer, and tried again at once', async () => {
  const tried: string[] = [];
  const transport = transportWith({ connect: failing('ECONNREFUSED', tried) });
  for (let i = 0; i < 2; i++) {
    const { contact, outcomes } = await transport.deliver(deliveryTo(25));
    assert.deepEqual([contact, outcomes[0]?.letter], ['answered', 'Z']);
  }
  assert.equal(tried.length, 4);
});

test('a name that cannot be looked up says nothing of the host', async () => {
  const resolveMx = () => Promise.reject(Object.assign(new Error('no'), { code: 'ESERVFAIL' }));
  const { contact } = await transportWith({ resolver: { resolveMx } }).deliver(deliveryTo(25));
  assert.equal(contact, 'unresolved');
});

test('a delivery is cut short while it connects, and while names are looked up', async () => {
  for (const options of [
    { connect: () => new Promise<Socket>(() => undefined) },
    { resolver: { resolveMx: () => new Promise<never>(() => undefined) } },
  ]) {
    const abort = new AbortController();
    const delivery = transportWith(options).deliver(deliveryTo(25, { signal: abort.signal }));
    setImmediate(() => abort.abort());
    assert.equal((await delivery).contact, 'cut');
  }
});

test('a host that was cut short before its greeting loses the connection', async () => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const abort = new AbortController();
  const transport = transportWith();
  const { port } = server.address() as AddressInfo;
  const delivery = transport.deliver(deliveryTo(port, { signal: abort.signal }));
  const [socket] = (await once(server, 'connection')) as [Socket];
  abort.abort();
  assert.equal((await delivery).contact, 'cut');
  socket.resume();
  await once(socket, 'close');
  server.close();
});

test('a host that answered is not cut short', async () => {
  const server = await ScriptedServer.start(agree());
  const transport = transportWith();
  const abort = new AbortController();
  const delivery = deliveryTo(server.port, { signal: abort.signal, onAnswer: () => abort.abort() });
  const { contact, outcomes } = await transport.deliver(delivery);
  assert.deepEqual([contact, outcomes[0]?.letter], ['answered', 'K']);
  await transport.close();
  await server.close();
});
