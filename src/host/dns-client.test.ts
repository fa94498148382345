import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DnsManners, startFakeDns } from '../../test/support/fake-dns-server.ts';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { createDnsClient, createValidatingDnsClient, findNameOfIp, isAddressOfName } from './dns-client.ts';
import { ManualClock } from './manual-clock.ts';

const ZONE = {
  'two.example A': ['192.0.2.1', '192.0.2.2'],
  'two.example AAAA': ['20010db800000000000000000000ff01'],
  '7.2.0.192.in-addr.arpa PTR': ['MX.example'],
  'broken.example A': 'SERVFAIL',
} as const;

async function withServer(
  manners: DnsManners,
  run: (
    ask: ReturnType<typeof createDnsClient>,
    questions: readonly string[],
    clock: ManualClock,
  ) => Promise<void>,
): Promise<void> {
  const server = await startFakeDns({ host: '127.0.0.1', port: 0, zone: ZONE }, manners);
  const clock = new ManualClock();
  try {
    await run(createDnsClient({ servers: ['127.0.0.1'], clock, port: server.port }), server.questions, clock);
  } finally {
    await server.stop();
  }
}

test('findNameOfIp() finds the name of an address', () =>
  withServer({}, async (ask) => {
    assert.equal(textOf((await findNameOfIp(ask, '192.0.2.7'))!), 'mx.example');
    assert.equal(await findNameOfIp(ask, '192.0.2.8'), undefined);
    assert.equal(await findNameOfIp(ask, 'nonsense'), undefined);
  }));

test('isAddressOfName() compares with all addresses of a name', () =>
  withServer({}, async (ask) => {
    for (const [name, ip, want] of [
      ['two.example', '192.0.2.2', true],
      ['two.example', '192.0.2.3', false],
      ['two.example', '2001:db8::ff01', true],
      ['two.example', '2001:db8::ff02', false],
      ['broken.example', '192.0.2.2', false],
    ] as const) {
      assert.equal(await isAddressOfName(ask, bytesOf(name), ip), want, `${name} ${ip}`);
    }
  }));

test('a cut answer is fetched by TCP', () =>
  withServer({ truncate: true }, async (ask, questions) => {
    assert.equal(textOf((await findNameOfIp(ask, '192.0.2.7'))!), 'mx.example');
    assert.deepEqual(questions, ['7.2.0.192.in-addr.arpa PTR udp', '7.2.0.192.in-addr.arpa PTR tcp']);
  }));

test('a server that fails is asked once per round, and then nobody could tell', () =>
  withServer({}, async (ask, questions) => {
    assert.equal(await ask(bytesOf('broken.example'), 'A'), 'failed');
    assert.equal(questions.length, 4);
  }));

test('a forged answer is waited out, and a silent server costs 1, 3, 11 and 45 seconds', () => {
  let clock: ManualClock | undefined;
  const waits: number[] = [];
  const rounds = [1000, 3000, 11_000, 45_000];
  // The answer has another number; each question advances the clock past the time that it has.
  const spoil = (packet: Buffer) => {
    packet[0]! ^= 1;
    const waitMs = rounds[waits.length] ?? 0;
    waits.push(waitMs);
    setImmediate(() => {
      clock?.advance(waitMs - 1);
      setImmediate(() => clock?.advance(1));
    });
    return packet;
  };
  return withServer({ spoil }, async (ask, questions, manual) => {
    clock = manual;
    assert.equal(await findNameOfIp(ask, '192.0.2.7'), undefined);
    assert.equal(questions.length, 4);
    assert.equal(manual.nowMs(), 60_000 + new ManualClock().nowMs());
  });
});

test('a name that cannot be written is not asked for', () =>
  withServer({}, async (ask, questions) => {
    assert.equal(await ask(bytesOf('a..b'), 'A'), 'failed');
    assert.deepEqual(questions, []);
  }));

test('with nobody listening the next server is asked at once', async () => {
  const server = await startFakeDns({ host: '127.0.0.1', port: 0, zone: ZONE });
  const ask = createDnsClient({
    servers: ['127.0.0.99', '127.0.0.1'],
    clock: new ManualClock(),
    port: server.port,
  });
  assert.equal(textOf((await findNameOfIp(ask, '192.0.2.7'))!), 'mx.example');
  await server.stop();
});

test('a validating server is asked to say what it has validated', async () => {
  const isSecure = (question: string) => question === 'two.example A';
  const server = await startFakeDns({ host: '127.0.0.1', port: 0, zone: ZONE }, { isSecure });
  const options = { servers: ['127.0.0.1'], clock: new ManualClock(), port: server.port };
  const ask = createValidatingDnsClient(options);
  const told = async (name: string, type: 'A' | 'AAAA') => {
    const answer = await ask(bytesOf(name), type);
    return answer === 'failed' ? answer : [answer.records.length, answer.isSecure];
  };
  assert.deepEqual(await told('two.example', 'A'), [2, true]);
  assert.deepEqual(await told('two.example', 'AAAA'), [1, false]);
  assert.equal(await told('broken.example', 'A'), 'failed');
  await server.stop();
});
