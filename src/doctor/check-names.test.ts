import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeNames, judgeResolution, type Names } from './check-names.ts';
import type { Finding } from './finding.ts';

const GOOD: Names = {
  me: 'mail.example.org',
  defaulthost: 'example.org',
  defaultdomain: 'example.org',
  plusdomain: 'org',
  idhost: 'host.example.org',
  hostname: 'host',
  mailname: 'example.org',
};

function troubles(findings: readonly Finding[]): string[] {
  return findings
    .filter(({ state }) => state !== 'ok')
    .map(({ state, subject, seen }) => `${state} ${subject} ${seen}`);
}

test('judgeNames() has nothing against good names, with and without those that have defaults', () => {
  const { hostname } = GOOD;
  assert.deepEqual(troubles(judgeNames(GOOD, ['client'])), []);
  const none = { defaulthost: undefined, defaultdomain: undefined, plusdomain: undefined, idhost: undefined };
  const hub = { ...GOOD, ...none, mailname: undefined };
  assert.deepEqual(troubles(judgeNames(hub, ['hub'])), []);
  assert.deepEqual(troubles(judgeNames({ ...hub, me: undefined, hostname }, ['list'])), []);
});

const CASES: readonly [names: Partial<Names>, role: 'client' | 'hub' | 'gateway', wanted: RegExp][] = [
  [{ me: undefined }, 'hub', /^error control\/me is missing: a hub does not start/],
  [{ me: undefined }, 'gateway', /^error control\/me is missing: qmail-smtpd/],
  [{ me: undefined }, 'client', /^warning control\/me is missing$/],
  [{ me: 'mail' }, 'hub', /^warning control\/me mail has no dot/],
  [{ me: 'localhost.localdomain' }, 'hub', /^warning control\/me .* means nothing elsewhere/],
  [{ me: 'ann@example.org' }, 'hub', /^error control\/me "ann@example.org" is no name of a host/],
  [{ defaulthost: 'example org' }, 'client', /^error control\/defaulthost "example org" is no name/],
  [{ idhost: 'vm' }, 'client', /^warning control\/idhost vm has no dot/],
  [
    { idhost: undefined },
    'client',
    /^warning control\/idhost is missing, so Message-IDs end in mail\.example/,
  ],
  [{ mailname: 'other.example' }, 'client', /^note \/etc\/mailname says other\.example/],
];

for (const [change, role, wanted] of CASES) {
  test(`judgeNames() of a ${role} tells ${JSON.stringify(change)}`, () => {
    const found = troubles(judgeNames({ ...GOOD, ...change }, [role]));
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, wanted);
  });
}

test('judgeNames() tells each word that addresses would be completed with when there is nothing else', () => {
  const none = { me: undefined, defaulthost: undefined, defaultdomain: undefined, plusdomain: undefined };
  const found = judgeNames({ ...GOOD, ...none }, ['client']).filter(({ state }) => state === 'error');
  assert.deepEqual(
    found.map(({ subject }) => subject),
    ['control/defaulthost', 'control/defaultdomain', 'control/plusdomain'],
  );
});

test('judgeResolution() minds a name without address only where other hosts see it', async () => {
  const none = async () => 'none' as const;
  const stateOf = async (...words: Parameters<typeof judgeResolution>) =>
    (await judgeResolution(...words)).map(({ state }) => state);
  assert.deepEqual(await stateOf('mail.example', true, none), ['warning']);
  assert.deepEqual(await stateOf('mail.example', false, none), ['note']);
  assert.deepEqual(await stateOf('mail.example', true, async () => ({ failed: 'timed out' })), ['note']);
  assert.deepEqual(await stateOf('mail.example', true, async () => ({ addresses: ['10.0.0.1'] })), ['ok']);
  assert.deepEqual(await stateOf(undefined, true, none), []);
});
