import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startFakeDns } from '../../test/support/fake-dns-server.ts';
import { SYSTEM_CLOCK } from '../host/clock.ts';
import type { AskDns } from '../host/dns-client.ts';
import { createDnsClient } from '../host/dns-client.ts';
import { createMailResolver } from './dns-mail-resolver.ts';

test('a resolver gives records as text, and none where there are none', async () => {
  const zone = {
    'a.example MX': ['20 B.example', '10 c.example'],
    'a.example A': ['192.0.2.1', '192.0.2.2'],
    'a.example AAAA': ['20010db8000000000000000000000001'],
    'null.example MX': ['0 .'],
  };
  const host = '127.0.0.1';
  const server = await startFakeDns({ host, port: 0, zone });
  try {
    const client = createDnsClient({ servers: [host], clock: SYSTEM_CLOCK, port: server.port });
    const resolver = createMailResolver(client);
    assert.deepEqual(await resolver.resolveMx('a.example'), [
      { priority: 20, exchange: 'b.example' },
      { priority: 10, exchange: 'c.example' },
    ]);
    assert.deepEqual(await resolver.resolveMx('null.example'), [{ priority: 0, exchange: '.' }]);
    assert.deepEqual(await resolver.resolve4('a.example'), ['192.0.2.1', '192.0.2.2']);
    assert.deepEqual(await resolver.resolve6('a.example'), ['2001:db8::1']);
    assert.deepEqual(await resolver.resolve4('gone.example'), []);
    assert.deepEqual(await resolver.resolve4(`${'x'.repeat(64)}.example`), []);
  } finally {
    await server.stop();
  }
});

test('a resolver rejects when nobody could tell', async () => {
  const failing: AskDns = async () => 'failed';
  await assert.rejects(createMailResolver(failing).resolveMx('a.example'), /Cannot look up MX of a\.example/);
});
