import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { bytesOf } from '../core/bytes/bytes.ts';
import { GLANCE_MS } from '../host/glance.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { cacheSmtpdControls, readSmtpdControls, type SmtpdControls } from './smtpd-controls.ts';

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'smtpd-controls-'));
  mkdirSync(join(home, 'control'));
  write('me', 'mx.example\n');
});
afterEach(() => rmSync(home, { recursive: true }));

function write(name: string, content: string): void {
  writeFileSync(join(home, 'control', name), content);
}

test('readSmtpdControls() has the defaults of the manual page', () => {
  const { extensions, localiphost, ...rest } = readSmtpdControls(home, {});
  const greeting = 'mx.example';
  assert.deepEqual(rest, {
    ...{ greeting, timeoutMs: 1_200_000, rcpthosts: undefined, badmailfrom: undefined },
    ...{ sizeMax: 0, databytes: 0, extensionItems: [] },
  });
  assert.deepEqual(Buffer.from(localiphost!), Buffer.from(greeting));
  assert.equal(extensions.recipientCountMax, 100_000);
});

for (const [text, seconds] of [
  ['7x', 7],
  ['0', 1],
  ['x', 1200],
  ['2147483647', 2_147_483_647],
  ['2147483648', 1],
] as const) {
  test(`readSmtpdControls() waits ${seconds} seconds for a timeoutsmtpd of ${text}`, () => {
    write('timeoutsmtpd', text);
    assert.equal(readSmtpdControls(home, {}).timeoutMs, seconds * 1000);
  });
}

test('cacheSmtpdControls() reads what does not change once, and each variable each time', () => {
  write('rcpthosts', 'a.example\n');
  write('databytes', '5\n');
  const clock = new ManualClock();
  const read = cacheSmtpdControls(clock);
  const first = read(home, {});
  const second = read(home, { DATABYTES: '7', SMTPEXTENSIONS: 'size' });
  assert.equal(second.rcpthosts, first.rcpthosts);
  assert.deepEqual([first.sizeMax, second.sizeMax], [5, 7]);
  assert.deepEqual([first.extensions.size, second.extensions.size], [false, true]);
});

test('cacheSmtpdControls() sees a file that is new, replaced, rewritten, gone or unreadable', () => {
  const clock = new ManualClock();
  const read = cacheSmtpdControls(clock);
  const look = (): SmtpdControls => {
    clock.advance(GLANCE_MS);
    return read(home, {});
  };
  const takes = (domain: string) => look().rcpthosts?.has(bytesOf(domain));
  assert.equal(takes('a.example'), undefined);
  write('rcpthosts', 'a.example\n');
  assert.equal(takes('a.example'), true);
  write('new', 'b.example\n');
  renameSync(join(home, 'control/new'), join(home, 'control/rcpthosts'));
  assert.deepEqual([takes('a.example'), takes('b.example')], [false, true]);
  write('rcpthosts', 'longer.example\n');
  assert.deepEqual([takes('b.example'), takes('longer.example')], [false, true]);
  rmSync(join(home, 'control/rcpthosts'));
  assert.equal(takes('longer.example'), undefined);
  mkdirSync(join(home, 'control/rcpthosts'));
  for (let i = 0; i < 2; i++) assert.throws(look, /Cannot read .*rcpthosts/);
  rmSync(join(home, 'control/rcpthosts'), { recursive: true });
  assert.equal(takes('x'), undefined);
});
