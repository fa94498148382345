import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { findTcpRule, readTcpRuleData, type TcpClient } from './tcp-rules.ts';

interface ClientText {
  readonly ip: string;
  readonly host?: string;
  readonly info?: string;
  readonly certificate?: string;
}

function clientOf(text: ClientText): TcpClient {
  return Object.fromEntries(
    Object.entries(text).map(([name, value]) => [name, bytesOf(value)]),
  ) as unknown as TcpClient;
}

function keysFor(client: ClientText): string[] {
  const keys: string[] = [];
  const found = findTcpRule((key) => void keys.push(textOf(key)), clientOf(client));
  assert.equal(found, undefined);
  return keys;
}

test('findTcpRule() tries keys from the most to the least that they say', () => {
  assert.deepEqual(keysFor({ ip: '1.2.3.4' }), ['1.2.3.4', '1.2.3.', '1.2.', '1.', '']);
  assert.deepEqual(keysFor({ ip: '1.2.3.4', host: 'a.b.c', info: 'joe' }), [
    ...['joe@1.2.3.4', 'joe@=a.b.c', '1.2.3.4', '=a.b.c', '1.2.3.', '1.2.', '1.', '=.b.c', '=.c', '=', ''],
  ]);
  assert.deepEqual(keysFor({ ip: '1', host: '', info: '' }), ['@1', '@=', '1', '=', '=', '']);
  assert.equal(keysFor({ ip: '1', certificate: 'x.example' })[0], '[cert:x.example]');
});

test('findTcpRule() tries an IPv6 address digit by digit, without its zone', () => {
  const digits = 'fe8000000000000000000000000000ab';
  const keys = keysFor({ ip: 'fe80::ab%eth0', info: 'joe', host: 'h' });
  assert.deepEqual(keys.slice(0, 3), [`joe@ip6:${digits}`, 'joe@fe80::ab%eth0', 'joe@=h']);
  assert.deepEqual(keys.slice(3, 6), [`ip6:${digits}`, 'fe80::ab%eth0', '=h']);
  const prefixes = Array.from({ length: 32 }, (_, i) => `ip6:${digits.slice(0, 31 - i)}`);
  assert.deepEqual(keys.slice(6), [...prefixes, '=', '']);
});

test('findTcpRule() does not let an ident answer stand for a certificate or an IPv6 address', () => {
  const wanted = ['[cert:x]', 'ip6:20010db8', 'joe@ip6:20010db8000000000000000000000001'];
  for (const info of [
    '[cert:x]',
    '[cert:x',
    'ip6:20010db8',
    'joe@ip6:20010db8000000000000000000000001',
    'joe',
  ]) {
    for (const ip of ['1.2.3.4', '2002::1']) {
      const keys = keysFor({ ip, host: 'h.example', info });
      assert.deepEqual(
        keys.filter((key) => wanted.includes(key)),
        [],
      );
    }
  }
});

test('findTcpRule() stops at the first rule, and at damage', () => {
  const rules: { [key: string]: Uint8Array } = { '1.': bytesOf('D\0'), '': bytesOf('') };
  const rule = findTcpRule((key) => rules[textOf(key)], clientOf({ ip: '1.2.3.4' }));
  assert.deepEqual(rule && [textOf(rule.key), textOf(rule.data)], ['1.', 'D\0']);
  const find = (key: Uint8Array) => (textOf(key) === '1.2.' ? ('corrupt' as const) : rules[textOf(key)]);
  assert.equal(findTcpRule(find, clientOf({ ip: '1.2.3.4' })), 'corrupt');
});

test('readTcpRuleData() reads what is ended by NUL and ignores what it does not know', () => {
  const rows: [string, boolean, string[], string[]?][] = [
    ['', true, []],
    ['D\0', false, []],
    ['D', true, []],
    ['Dx\0+A=b\0', false, ['A=b'], []],
    ['+A=b\0D\0+C=d\0', false, ['A=b', 'C=d'], ['A=b']],
    ['+A=b=c\0+none\0+=v\0?x\0\0+B=\0+C=d', true, ['A=b=c', '=v', 'B=']],
  ];
  for (const [data, allow, variables, shown = variables] of rows) {
    for (const untilDeny of [false, true]) {
      const verdict = readTcpRuleData(bytesOf(data), untilDeny);
      const got = verdict.environment.map(({ name, value }) => `${textOf(name)}=${textOf(value)}`);
      assert.deepEqual([verdict.allow, got], [allow, untilDeny ? shown : variables], data);
    }
  }
});
