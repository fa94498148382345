import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../bytes/bytes.ts';
import { isHostName, isHostOfPolicy, parseStsPolicy, parseStsRecord } from './mta-sts.ts';

test('parseStsRecord() finds the id of the one record that is about MTA-STS', () => {
  const rows: [string[], string | undefined][] = [
    [['v=STSv1; id=20260101T000000;'], '20260101T000000'],
    [['v=STSv1;id=a'], 'a'],
    [['v=STSv1 ; ext=1; id = b ;'], 'b'],
    [['v=spf1 -all', 'v=STSv1; id=c'], 'c'],
    [['v=STSv1; id=a', 'v=STSv1; id=b'], undefined],
    [['v=STSv1; id='], undefined],
    [['v=STSv1;'], undefined],
    [['v=STSv1'], undefined],
    [['v=STSv1; id=a-b'], undefined],
    [[`v=STSv1; id=${'1'.repeat(33)}`], undefined],
    [['v=STSv10; id=a'], undefined],
    [['V=STSv1; id=a'], undefined],
    [['id=a; v=STSv1'], undefined],
    [[], undefined],
  ];
  for (const [records, id] of rows)
    assert.equal(parseStsRecord(records.map(bytesOf)), id, JSON.stringify(records));
});

const policy = (text: string) => parseStsPolicy(bytesOf(text));

test('parseStsPolicy() reads the text with any line ends', () => {
  const want = { mode: 'enforce', mx: ['mx.example', '*.mail.example'], maxAgeSeconds: 604_800 };
  const lines = [
    'version: STSv1',
    'mode: enforce',
    'mx: MX.example',
    'mx:  *.mail.example \t',
    'max_age:604800',
  ];
  assert.deepEqual(policy(lines.join('\r\n')), want);
  assert.deepEqual(policy(`${lines.join('\n')}\n`), want);
  assert.deepEqual(policy(['x: y', '', ...lines, 'mode: none', 'nonsense'].join('\n')), want);
  assert.equal(policy('version: STSv1\nmode: none\nmax_age: 9999999999')?.maxAgeSeconds, 31_557_600);
});

test('parseStsPolicy() refuses what is not a whole policy', () => {
  const whole = 'version: STSv1\nmode: testing\nmx: a.example\nmax_age: 1\n';
  assert.equal(policy(whole)?.mode, 'testing');
  for (const [from, to] of [
    ['STSv1', 'STSv2'],
    ['version: STSv1\n', ''],
    ['testing', 'strict'],
    ['mode: testing\n', ''],
    ['mx: a.example\n', ''],
    ['a.example', 'a..example'],
    ['a.example', '*.*.example'],
    ['a.example', 'a/b'],
    ['max_age: 1', 'max_age: -1'],
    ['max_age: 1', 'max_age: 12345678901'],
    ['max_age: 1\n', ''],
  ] as const) {
    assert.equal(policy(whole.replace(from, to)), undefined, `${from} replaced by ${to}`);
  }
  assert.equal(policy('<html>'), undefined);
  assert.equal(policy('mx: a.example\n'.repeat(501) + whole), undefined);
});

test('isHostOfPolicy() lets a wildcard stand for exactly one label', () => {
  const { mx = [] } =
    policy('version: STSv1\nmode: enforce\nmx: mx.example\nmx: *.wild.example\nmax_age: 1') ?? {};
  const rows: [string, boolean][] = [
    ['mx.example', true],
    ['a.mx.example', false],
    ['a.wild.example', true],
    ['a.b.wild.example', false],
    ['wild.example', false],
    ['', false],
  ];
  for (const [host, want] of rows)
    assert.equal(isHostOfPolicy({ mode: 'enforce', mx, maxAgeSeconds: 1 }, host), want, host);
});

test('isHostName() takes names and nothing that could mean something in a path', () => {
  for (const name of ['a', 'a.b-c.example', '_x.example']) assert.equal(isHostName(name), true, name);
  for (const name of ['', '.', '..', 'a.', '.a', 'a..b', 'a/b', 'a b', 'a\0', '\xe9', 'x'.repeat(254)])
    assert.equal(isHostName(name), false, name);
});
