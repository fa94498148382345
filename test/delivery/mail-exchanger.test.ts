// Finding mail hosts against a resolver that is a table.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findMailHosts, type MailResolver } from '../../src/delivery/mail-exchanger.ts';

type Answer = readonly string[] | 'ENOTFOUND' | 'ENODATA' | 'ESERVFAIL' | 'ETIMEOUT';

/** `MX name`, `A name`, `AAAA name` to data; MX data is `preference host`. What is not there does not exist. */
function resolverOf(zone: Readonly<Record<string, Answer>>): MailResolver {
  const ask = async (key: string) => {
    const answer = zone[key] ?? 'ENOTFOUND';
    if (typeof answer === 'string') throw Object.assign(new Error(answer), { code: answer });
    return [...answer];
  };
  return {
    resolve4: (name) => ask(`A ${name}`),
    resolve6: (name) => ask(`AAAA ${name}`),
    resolveMx: async (name) =>
      (await ask(`MX ${name}`)).map((line) => {
        const [priority = '', exchange = ''] = line.split(' ');
        return { priority: Number(priority), exchange };
      }),
  };
}

async function find(zone: Readonly<Record<string, Answer>>, host = 'far.example', routed = false) {
  const result = await findMailHosts(
    { key: host, host, port: 25, routed },
    {
      resolver: resolverOf(zone),
      ownAddresses: () => new Set(['10.0.0.1', '0.0.0.0', '::1']),
      random: () => 0.5,
    },
  );
  return result.found
    ? result.hosts.map(({ address }) => address)
    : `${result.outcome.letter} ${result.outcome.text}`;
}

const UNKNOWN = "D Sorry, I couldn't find any host named far.example. (#5.1.2)\n";
const SOFT = "Z Sorry, I couldn't find any host by that name. (#4.1.2)\n";
const MYSELF =
  "D Sorry. Although I'm listed as a best-preference MX or A for that host,\nit isn't in my control/locals file, so I don't treat it as local. (#5.4.6)\n";

const TWO = { 'MX far.example': ['20 b.x', '10 a.x'], 'A a.x': ['1.0.0.1', '1.0.0.2'], 'A b.x': ['2.0.0.1'] };

const CASES: readonly [string, Readonly<Record<string, Answer>>, unknown][] = [
  ['takes exchangers by preference', TWO, ['1.0.0.1', '1.0.0.2', '2.0.0.1']],
  [
    'takes IPv6 after IPv4 of a host',
    { ...TWO, 'AAAA a.x': ['fd00::1'] },
    ['1.0.0.1', '1.0.0.2', 'fd00::1', '2.0.0.1'],
  ],
  [
    'takes the host itself without MX',
    { 'MX far.example': 'ENODATA', 'A far.example': ['3.0.0.1'] },
    ['3.0.0.1'],
  ],
  [
    'takes the host itself if the MX answer is empty',
    { 'MX far.example': [], 'A far.example': ['3.0.0.1'] },
    ['3.0.0.1'],
  ],
  ['takes an IPv6-only host', { 'AAAA far.example': ['fd00::5'] }, ['fd00::5']],
  ['gives up on an unknown host', {}, UNKNOWN],
  ['waits when the MX query fails', { 'MX far.example': 'ESERVFAIL', 'A far.example': ['3.0.0.1'] }, SOFT],
  ['waits when the MX query times out', { 'MX far.example': 'ETIMEOUT' }, SOFT],
  ['waits when the address query fails', { 'A far.example': 'ESERVFAIL' }, SOFT],
  ['waits when only the IPv6 query fails', { 'AAAA far.example': 'ESERVFAIL' }, SOFT],
  ['leaves out an exchanger that fails', { ...TWO, 'A a.x': 'ESERVFAIL' }, ['2.0.0.1']],
  [
    'waits when an exchanger fails and none is left',
    { ...TWO, 'A a.x': 'ESERVFAIL', 'A b.x': 'ENOTFOUND' },
    SOFT,
  ],
  [
    'gives up when all exchangers are unknown',
    { 'MX far.example': ['10 a.x'] },
    "D Sorry, I couldn't find a mail exchanger or IP address. (#5.4.4)\n",
  ],
  [
    'gives up on a null MX',
    { 'MX far.example': ['0 .'], 'A far.example': ['3.0.0.1'] },
    'D Sorry, that domain does not accept mail. (#5.1.10)\n',
  ],
  [
    'gives up on a null MX as Node shows it',
    { 'MX far.example': ['0 '] },
    'D Sorry, that domain does not accept mail. (#5.1.10)\n',
  ],
  ['refuses to be the best exchanger', { ...TWO, 'A a.x': ['10.0.0.1'] }, MYSELF],
  [
    'refuses to be an equal exchanger',
    { ...TWO, 'MX far.example': ['10 b.x', '10 a.x'], 'A a.x': ['10.0.0.1'] },
    MYSELF,
  ],
  ['uses better exchangers than itself', { ...TWO, 'A b.x': ['10.0.0.1'] }, ['1.0.0.1', '1.0.0.2']],
  ['refuses itself as plain host', { 'A far.example': ['0.0.0.0'] }, MYSELF],
  [
    'prefers an exchanger that is an address',
    { 'MX far.example': ['20 5.5.5.5', '10 a.x'], 'A a.x': ['1.0.0.1'] },
    ['5.5.5.5', '1.0.0.1'],
  ],
];

for (const [name, zone, want] of CASES) {
  test(`findMailHosts() ${name}`, async () => assert.deepEqual(await find(zone), want));
}

for (const [host, want] of [
  ['[9.9.9.9]', ['9.9.9.9']],
  ['9.9.9.9', ['9.9.9.9']],
  ['[ipv6:fd00::9]', ['fd00::9']],
  ['[::1]', MYSELF],
  ['10.0.0.1', MYSELF],
] as const) {
  test(`findMailHosts() reads the literal ${host}`, async () => assert.deepEqual(await find({}, host), want));
}

test('findMailHosts() asks no MX for a route and allows a route to this machine', async () => {
  const zone = { 'MX far.example': ['10 a.x'], 'A a.x': ['1.0.0.1'], 'A far.example': ['10.0.0.1'] };
  assert.deepEqual(await find(zone, 'far.example', true), ['10.0.0.1']);
  assert.deepEqual(await find(zone, '10.0.0.1', true), ['10.0.0.1']);
  assert.equal(await find({}, 'far.example', true), UNKNOWN);
});
