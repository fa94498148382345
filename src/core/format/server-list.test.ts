import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { parseServerEntries, splitServerList } from './server-list.ts';

function read(...entries: string[]): string[] {
  return parseServerEntries(entries.map(bytesOf)).map(({ host, port }) => `${host} ${port}`);
}

const USED: [string, string][] = [
  ['10.0.0.1', '10.0.0.1 628'],
  ['10.0.0.1 backup server', '10.0.0.1 628'],
  ['10.0.0.1:2628', '10.0.0.1 628'],
  ['10.0.0.1#x', '10.0.0.1 628'],
  ['10.0.0.1.9', '10.0.0.1 628'],
  ['10.0.0.1\r', '10.0.0.1 628'],
  ['127.000.00.01', '127.0.0.1 628'],
  ['383.256.512.257', '127.0.0.1 628'],
  [`${'9'.repeat(400)}.0.0.1`, '255.0.0.1 628'],
  ['16777217.16777471.65536.0000000000000000001', '1.255.0.1 628'],
  ['qmqp://10.0.0.1', '10.0.0.1 628'],
  ['qmqp://10.0.0.1:2628', '10.0.0.1 2628'],
  ['qmqp://[::1]', '::1 628'],
  ['qmqp://[2001:db8::7:A]:65535', '2001:db8::7:A 65535'],
  ['qmqp://[1:2:3:4:5:6:7:8]:1', '1:2:3:4:5:6:7:8 1'],
  ['qmqp://[1::]', '1:: 628'],
];

for (const [entry, want] of USED) {
  test(`parseServerEntries() takes ${entry.slice(0, 50)} as ${want}`, () => {
    assert.deepEqual(read(entry), [want]);
  });
}

const SKIPPED = [
  ' 10.0.0.1',
  'localhost',
  '[10.0.0.1]',
  '10.0.1',
  '10.0.0.',
  '10..0.1',
  '::1',
  '+10.0.0.1',
  '2130706433',
  '0x7f.0.0.1',
  'qmqp://',
  'qmqp://localhost',
  'qmqp://10.0.0.256',
  'qmqp://10.0.0.1:',
  'qmqp://10.0.0.1:0',
  'qmqp://10.0.0.1:65536',
  `qmqp://10.0.0.1:${'9'.repeat(400)}`,
  'qmqp://10.0.0.1:628x',
  'qmqp://10.0.0.1/',
  'qmqp://::1',
  'qmqp://[::1',
  'qmqp://[]',
  'qmqp://[:]',
  'qmqp://[1:2:3:4:5:6:7]',
  'qmqp://[1:2:3:4:5:6:7:8:9]',
  'qmqp://[1:2:3:4:5:6:7::8]',
  'qmqp://[1::2::3]',
  'qmqp://[:::]',
  'qmqp://[12345::]',
  'qmqp://[g::]',
  'qmqp://[::1]628',
  'QMQP://10.0.0.1',
];

for (const entry of SKIPPED) {
  test(`parseServerEntries() skips ${entry.slice(0, 50)}`, () => {
    assert.deepEqual(read(entry), []);
  });
}

test('parseServerEntries() keeps the order and repetitions', () => {
  assert.deepEqual(read('10.0.0.2', 'x', '10.0.0.1', '10.0.0.2'), [
    '10.0.0.2 628',
    '10.0.0.1 628',
    '10.0.0.2 628',
  ]);
});

test('splitServerList() separates at blanks, line ends and commas', () => {
  const got = splitServerList(bytesOf(' 1.2.3.4,5.6.7.8\t qmqp://[::1]\n,,x ')).map(textOf);
  assert.deepEqual(got, ['1.2.3.4', '5.6.7.8', 'qmqp://[::1]', 'x']);
});
