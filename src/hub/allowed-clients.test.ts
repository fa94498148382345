import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { SystemError } from '../host/system-error.ts';
import { readAllowedClients } from './allowed-clients.ts';

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'clients-'));
  mkdirSync(join(home, 'control'));
});
afterEach(() => rmSync(home, { recursive: true }));

function rules(content?: string): (address: string) => boolean {
  if (content !== undefined) writeFileSync(join(home, 'control/qmqpclients'), content, 'latin1');
  return readAllowedClients(home);
}

const LOOPBACK = ['127.0.0.1', '127.255.255.255', '::1', '::ffff:127.0.0.1'];
const OTHERS = ['10.0.0.1', '192.0.2.7', '0.0.0.0', '128.0.0.1', '::', '::2', 'fe80::1', '::ffff:10.0.0.1'];

test('without rules this host may connect and nobody else', () => {
  for (const mayConnect of [rules(), rules(''), rules('# nobody\n\n')]) {
    for (const address of LOOPBACK) assert.equal(mayConnect(address), true, address);
    for (const address of OTHERS) assert.equal(mayConnect(address), false, address);
  }
});

test('addresses and networks may connect, their neighbours may not', () => {
  const mayConnect = rules(
    '192.0.2.7\n10.1.0.0/16 \n2001:db8::/32\n2001:DB9::5\n203.0.113.9/31\n# 198.51.100.1\n',
  );
  const yes = [
    '192.0.2.7',
    '10.1.0.0',
    '10.1.255.255',
    '2001:db8:ffff::1',
    '2001:db9::5',
    '203.0.113.8',
    ...LOOPBACK,
  ];
  const no = [
    '192.0.2.6',
    '10.0.255.255',
    '10.2.0.0',
    '2001:db9::4',
    '2001:dba::',
    '203.0.113.10',
    '198.51.100.1',
  ];
  for (const address of yes) assert.equal(mayConnect(address), true, address);
  for (const address of no) assert.equal(mayConnect(address), false, address);
});

test('a rule for IPv4 counts for a client that comes as an IPv6-mapped address', () => {
  const mayConnect = rules('10.0.0.0/8\n');
  assert.equal(mayConnect('::ffff:10.2.3.4'), true);
  assert.equal(mayConnect('::ffff:11.2.3.4'), false);
});

test('0.0.0.0/0 lets every IPv4 host in, and no IPv6 host', () => {
  const mayConnect = rules('0.0.0.0/0\n');
  assert.equal(mayConnect('198.51.100.1'), true);
  assert.equal(mayConnect('2001:db8::1'), false);
});

test('what is no address is refused', () => {
  for (const address of ['', 'localhost', '127.0.0.1 ', '127.1'])
    assert.equal(rules('0.0.0.0/0\n')(address), false, address);
});

test('an entry that is neither address nor network stops the start and is named', () => {
  const wrong = [
    'example.org',
    '10.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/8.5',
    '10.0.0.0/ 8',
    '10.0.0.0/8/8',
    '::1/129',
    '010.0.0.1',
    '10.0.0.0-10.0.0.9',
    '*',
    '10.0.0.0/0x8',
    '10.0.0.0/1e1',
  ];
  for (const entry of wrong)
    assert.throws(
      () => rules(`192.0.2.1\n${entry}\n`),
      (error) => {
        assert.ok(
          error instanceof Error && error.message.includes(`control/qmqpclients: entry "${entry}"`),
          entry,
        );
        return true;
      },
      entry,
    );
});

test('a file that cannot be read stops the start', () => {
  mkdirSync(join(home, 'control/qmqpclients'));
  assert.throws(() => rules(), SystemError);
});
