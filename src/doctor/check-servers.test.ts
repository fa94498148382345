import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { checkServerList, checkServers } from './check-servers.ts';
import type { LookupResult } from './host-names.ts';
import type { Installation } from './installation.ts';
import type { ProbeResult } from './probe-server.ts';

const home = mkdtempSync(join(tmpdir(), 'doctor-servers-'));
after(() => rmSync(home, { recursive: true }));
mkdirSync(join(home, 'control'));

const TAKES: ProbeResult = { kind: 'takes-mail', connectMs: 1 };
const DOWN: ProbeResult = { kind: 'unreachable', reason: 'connection refused' };
const NAMES: { readonly [name: string]: LookupResult } = {
  both: { addresses: ['10.0.0.1', '2001:db8::1'] },
  dead: { failed: 'no answer within 6 seconds' },
};

/** Lists and tries servers; every address takes mail but those that `results` has. */
async function look(
  list: string,
  results: { readonly [host: string]: ProbeResult } = {},
  role: Installation['roles'][number] = 'client',
): Promise<string[]> {
  const env = { QMQPSERVERS: list };
  const installation = { home, ownBin: '/', roles: [role], hasQueue: false, isRecorded: false, env };
  const { findings, servers } = checkServerList(installation);
  const tried = await checkServers(
    { servers },
    {
      lookUp: async (name) => NAMES[name] ?? 'none',
      probe: async (_, host) => results[host] ?? TAKES,
    },
  );
  return [...findings, ...tried]
    .filter(({ state }) => state !== 'ok')
    .map(({ state, subject, seen, remedy }) => {
      if (state !== 'note') assert.ok(remedy, seen);
      return `${state} ${subject} ${seen}`;
    });
}

test('two servers that take mail are in order', async () => {
  assert.deepEqual(await look('10.0.0.1, both'), []);
});

test('one server is worth a note, none an error, but for a hub', async () => {
  assert.deepEqual(await look('10.0.0.1'), [
    'note QMQPSERVERS names one server: while that is down, no mail can be sent',
  ]);
  assert.deepEqual(await look(','), ['error QMQPSERVERS has no usable server: no mail can be sent']);
  assert.deepEqual(await look(',', {}, 'hub'), []);
});

test('entries that are passed over, ignored in part, or there twice are told', async () => {
  assert.deepEqual(await look('10.0.0.1 10.0.0.2 tls=9 10.0.0.3 gzip 10.0.0.1'), [
    'warning QMQPSERVERS, entry 2 "10.0.0.2 tls=9" is passed over: tls takes no value',
    'note QMQPSERVERS, entry 3 gzip is understood by hubs of mini-qmail only, and this line does not say hub',
    'note QMQPSERVERS qmqp://10.0.0.1:628 is there more than once',
  ]);
  writeFileSync(join(home, 'control/qmqpservers'), '10.0.0.1:2628\nqmqp://10.0.0.2\n');
  const list = checkServerList({
    home,
    ownBin: '/',
    roles: ['client'],
    hasQueue: false,
    isRecorded: false,
    env: {},
  });
  assert.deepEqual(
    list.findings.map(({ state, subject }) => `${state} ${subject}`),
    ['note control/qmqpservers:1'],
  );
  assert.equal(list.servers.length, 2);
});

test('a server by TLS is another one than the same in clear', async () => {
  const results = await look('qmqp://10.0.0.1, qmqps://10.0.0.1', { '10.0.0.1': DOWN });
  assert.deepEqual(
    results.map((text) => text.split(' ')[1]),
    ['qmqp://10.0.0.1:628', 'qmqps://10.0.0.1:628'],
  );
});

test('trouble with a server is an error only when no other takes mail', async () => {
  const seen = 'qmqp://10.0.0.1:628 cannot be reached: connection refused';
  assert.deepEqual(await look('10.0.0.1 10.0.0.2', { '10.0.0.1': DOWN }), [`warning ${seen}`]);
  const both = await look('10.0.0.1 10.0.0.2', { '10.0.0.1': DOWN, '10.0.0.2': { kind: 'closed-at-once' } });
  assert.deepEqual(both, [
    `error ${seen}`,
    'error qmqp://10.0.0.2:628 closes the connection at once: its rules deny this host, or it is full',
  ]);
});

test('each address of a name is tried, and a name without any is told', async () => {
  assert.deepEqual(await look('both 10.0.0.9', { '2001:db8::1': DOWN }), [
    'warning qmqp://both:628 at 2001:db8::1 it cannot be reached: connection refused',
  ]);
  assert.deepEqual(await look('dead nowhere'), [
    'error qmqp://dead:628 the name dead cannot be looked up: no answer within 6 seconds',
    'error qmqp://nowhere:628 the name nowhere has no address',
  ]);
});

test('every other end of a probe has its words', async () => {
  for (const [result, words] of [
    [{ kind: 'refused', text: 'Zno' }, 'refuses: Zno'],
    [{ kind: 'not-qmqp', text: '220 x' }, 'does not speak QMQP: it says "220 x"'],
    [
      { kind: 'refused', text: 'Zthe certificate of x is revoked' },
      'refuses: Zthe certificate of x is revoked',
    ],
    [{ kind: 'refused', text: 'ZTLS only' }, 'refuses: ZTLS only'],
    [{ kind: 'silent' }, 'takes the connection and does not answer'],
    [{ kind: 'tls-failed', reason: 'expired' }, 'cannot be trusted or used by TLS: expired'],
  ] as const)
    assert.deepEqual(await look('10.0.0.1 10.0.0.2', { '10.0.0.1': result }), [
      `warning qmqp://10.0.0.1:628 ${words}`,
    ]);
});
