import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { bytesOf } from '../core/bytes/bytes.ts';
import type { ServerAddress } from '../core/format/server-list.ts';
import type { DnsResult } from '../host/dns-client.ts';
import { makeDkimKey } from '../hub/dkim-command.ts';
import { checkDkim } from './check-dkim.ts';
import { checkHub, checkListener } from './check-hub.ts';
import type { Finding } from './finding.ts';
import type { RunningHub } from './hub-process.ts';
import type { ProbeResult } from './probe-server.ts';

const home = mkdtempSync(join(tmpdir(), 'doctor-hub-'));
after(() => rmSync(home, { recursive: true }));

function told(findings: readonly Finding[]): string[] {
  return findings.map(({ state, subject, seen }) => `${state} ${subject} ${seen}`);
}

test('checkDkim() compares each key with DNS, and tells a folder that is not in order', async () => {
  const ask = async (answer: DnsResult) => told(await checkDkim(home, async () => answer));
  assert.deepEqual(await ask([]), []);
  mkdirSync(join(home, 'control/dkim'), { recursive: true });
  const domain = { home, domain: 'example.org', selector: 's1', type: 'ed25519' } as const;
  const record = /"(.*)"/.exec(makeDkimKey(domain))?.[1] ?? '';
  const name = 's1._domainkey.example.org';
  assert.deepEqual(await ask([bytesOf(record)]), [`ok example.org ${name}: published`]);
  assert.deepEqual(await ask([]), [`error example.org ${name}: not published`]);
  assert.deepEqual(await ask('failed'), [`note example.org ${name}: DNS cannot tell`]);
  mkdirSync(join(home, 'control/dkim/empty.example'));
  assert.match((await ask([bytesOf(record)]))[0]!, /^error empty\.example its mail waits: .*no file/);
});

test('checkListener() tries the place where the hub takes mail, from this host', async () => {
  const tried: string[] = [];
  const look = async (place: string | undefined, result: ProbeResult) => {
    const options = new Map(place === undefined ? [] : [['qmqp', place]]);
    const hub: RunningHub = { pid: 1, options, rules: undefined, smtpRules: undefined, hidesRules: false };
    const probe = async ({ port }: ServerAddress, host: string) => {
      tried.push(`${host} ${port}`);
      return result;
    };
    return told(await checkListener(hub, probe));
  };
  const takes: ProbeResult = { kind: 'takes-mail', connectMs: 1 };
  assert.deepEqual(await look('0.0.0.0:628', takes), ['ok 0.0.0.0:628 takes mail']);
  assert.deepEqual(await look('10.0.0.1:1628', { kind: 'silent' }), [
    'note 10.0.0.1:1628 does not take mail in clear from this host',
  ]);
  assert.match(
    (await look(undefined, { kind: 'unreachable', reason: 'x' }))[0]!,
    /^error 127\.0\.0\.1:628 cannot/,
  );
  assert.deepEqual(await look('127.0.0.1:0', takes), []);
  assert.deepEqual(tried, ['localhost 628', '10.0.0.1 1628', '127.0.0.1 628']);
});

test('checkHub() names the home to look at when no hub has run in this one', async () => {
  const installation = {
    home,
    ownBin: '/',
    roles: ['hub'],
    isRecorded: true,
    hasQueue: false,
    env: {},
  } as const;
  const [finding, ...more] = await checkHub(installation, undefined);
  assert.deepEqual([finding?.state, more], ['note', []]);
  assert.match(finding?.remedy ?? '', /mini-qmail doctor --home/);
});
