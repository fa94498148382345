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
import { checkHub } from './check-hub.ts';
import { checkListeners } from './check-listeners.ts';
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

test('checkListeners() tries the places where the hub takes mail, from this host', async () => {
  const tried: string[] = [];
  const look = async (result: ProbeResult, places: { readonly [option: string]: string }) => {
    const options = new Map(Object.entries(places));
    const hub: RunningHub = { pid: 1, options, rules: undefined, smtpRules: undefined, hidesRules: false };
    const probe = async ({ port }: ServerAddress, host: string) => {
      tried.push(`${host} ${port}`);
      return result;
    };
    return told(await checkListeners(hub, probe));
  };
  const takes: ProbeResult = { kind: 'takes-mail', connectMs: 1 };
  const none = { qmqp: '127.0.0.1:0' };
  assert.deepEqual(await look(takes, none), []);
  assert.deepEqual(await look(takes, { qmqp: '0.0.0.0:628' }), ['ok qmqp 0.0.0.0:628 takes mail']);
  assert.deepEqual(await look({ kind: 'silent' }, { qmqp: '[2001:db8::1]:1628' }), [
    'warning qmqp [2001:db8::1]:1628 is reached, and does not do its work',
  ]);
  assert.match(
    (await look({ kind: 'unreachable', reason: 'x' }, {}))[0]!,
    /^error qmqp 127\.0\.0\.1:628 cannot/,
  );
  const tlsOnly = await look({ kind: 'refused', text: 'Zby TLS only' }, { ...none, qmqps: '10.0.0.1:629' });
  assert.deepEqual(tlsOnly, ['ok qmqps 10.0.0.1:629 takes mail by TLS only']);
  const places = { ...none, smtp: '10.0.0.1:25', lmtp: 'unix:/run/lmtp' };
  const greets = ['ok smtp 10.0.0.1:25 greets', 'ok lmtp unix:/run/lmtp greets'];
  assert.deepEqual(await look({ kind: 'not-qmqp', text: '220 hub' }, places), greets);
  assert.match((await look({ kind: 'not-qmqp', text: '421 no' }, places))[0]!, /^warning smtp/);
  assert.deepEqual(tried.slice(0, 6), [
    ...['localhost 628', '2001:db8::1 1628', '127.0.0.1 628', '10.0.0.1 629'],
    ...['10.0.0.1 25', '/run/lmtp 0'],
  ]);
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
