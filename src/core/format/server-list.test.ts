import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import {
  formatServer,
  parseServerEntries,
  parseServerVariable,
  readServerEntry,
  readServerVariable,
  type ServerAddress,
} from './server-list.ts';
import { formatPlace, isName } from './server-list-place.ts';

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
  ['qmqp://localhost', 'localhost 628'],
  ['qmqp://Hub-1.example.:2628', 'Hub-1.example. 2628'],
  ['qmqp://_x.3com', '_x.3com 628'],
  ['qmqp://10.0.0.1\r', '10.0.0.1 628'],
  ['qmqps://127.000.0.01:7', '127.0.0.1 7'],
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
  ' qmqp://10.0.0.1',
  'qmqp://10.0.0.1.9',
  'qmqp://hub.3',
  'qmqp://-hub',
  'qmqp://a..b',
  'qmqp://.',
  'qmqp://höb',
  `qmqp://${'a'.repeat(64)}`,
  `qmqp://${'a.'.repeat(127)}b`,
  'qmqp:// 10.0.0.1',
  'unix:',
  'unix:/',
  'unix:run/hub',
  'unix:/run/h\u00fcb',
  `unix:/${'a'.repeat(103)}`,
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

const OPTIONS: [string, object][] = [
  ['qmqp://hub tls', { host: 'hub', port: 628, tls: {} }],
  ['qmqps://hub:7\tgzip  hub ', { host: 'hub', port: 7, tls: {}, gzip: true, hub: '' }],
  ['qmqps://hub tls', { host: 'hub', port: 628, tls: {} }],
  [
    'qmqp://10.0.0.1 key=/k hub=main ca=/a name=hub.example tls cert=/c=d',
    {
      host: '10.0.0.1',
      port: 628,
      tls: { key: '/k', ca: '/a', name: 'hub.example', cert: '/c=d' },
      hub: 'main',
    },
  ],
  ['unix:/run/hub hub gzip', { host: '', port: 0, path: '/run/hub', gzip: true, hub: '' }],
  ['10.0.0.1 tls', { host: '10.0.0.1', port: 628, tls: {} }],
  ['10.0.0.1\ttls hub\r', { host: '10.0.0.1', port: 628, tls: {}, hub: '' }],
  ['10.0.0.1 ', { host: '10.0.0.1', port: 628 }],
];

for (const [entry, server] of OPTIONS) {
  test(`readServerEntry() follows the options of ${entry}`, () => {
    const found = readServerEntry(bytesOf(entry));
    assert.deepEqual(found, { server });
    const formatted = formatServer((found as { server: ServerAddress }).server);
    assert.deepEqual(readServerEntry(bytesOf(formatted)), found);
  });
}

test('readServerEntry() takes words behind an original address for a comment, as qmail does', () => {
  for (const comment of [' hub of the house', ' gzip it', ':2628', '#hub', ' # hub', 'hub', ':628 hub'])
    assert.deepEqual(readServerEntry(bytesOf(`10.0.0.1${comment}`)), {
      server: { host: '10.0.0.1', port: 628 },
      hasComment: true,
    });
});

const NEVER_WEAKER = [
  'qmqp://hub tsl',
  'qmqp://hub tls backup',
  'qmqp://hub # tls',
  'qmqp://hub TLS',
  'qmqp://hub tls=',
  'qmqp://hub tls=1.3',
  'qmqp://hub gzip=9',
  'qmqp://hub ca',
  'qmqps://hub ca=',
  'qmqps://hub name=h\u00fcb',
  'qmqps://hub hub=',
  'qmqps://hub ca=/a ca=/b',
  'qmqps://hub cert=/c',
  'qmqps://hub key=/c',
  'qmqp://hub ca=/a',
  'qmqp://hub name=hub',
  'unix:/run/hub tls',
  '10.0.0.1 tls backup',
  '10.0.0.1 tls # hub',
  '10.0.0.1 tls ca=',
  '10.0.0.1 tls nmae=x',
  '10.0.0.1:628 tls',
  '10.0.0.1 ca=/a',
];

for (const entry of NEVER_WEAKER) {
  test(`readServerEntry() skips ${entry} and says why`, () => {
    const found = readServerEntry(bytesOf(entry));
    assert.ok('skipped' in found);
    assert.match(found.skipped, /^[!-~].{10,80}$/);
  });
}

test('readServerVariable() separates at blanks, line ends and commas, options belong to the entry before them', () => {
  const list = ' 1.2.3.4,5.6.7.8:26\t hub,\n,,qmqp://[::1] hub=x , [::2]:7,unix:/run/h gzip\r\nlocalhost:9 ';
  assert.deepEqual(parseServerVariable(bytesOf(list)), [
    { host: '1.2.3.4', port: 628 },
    { host: '5.6.7.8', port: 26, hub: '' },
    { host: '::1', port: 628, hub: 'x' },
    { host: '::2', port: 7 },
    { host: '', port: 0, path: '/run/h', gzip: true },
    { host: 'localhost', port: 9 },
  ]);
});

test('readServerVariable() takes its first word for a server, and keeps what is skipped with its words', () => {
  assert.deepEqual(parseServerVariable(bytesOf('hub tls')), [{ host: 'hub', port: 628, tls: {} }]);
  const found = readServerVariable(bytesOf('x.1  tls,10.0.0.1 cret=/c'));
  assert.deepEqual(
    found.map(({ text, entry }) => [textOf(text), 'skipped' in entry]),
    [
      ['x.1 tls', true],
      ['10.0.0.1 cret=/c', true],
    ],
  );
  assert.deepEqual(readServerVariable(bytesOf(' ,')), []);
});

test('formatPlace() gives what is read back, isName() tells names from addresses', () => {
  for (const [text, named] of [
    ['qmqp://hub.example:628', true],
    ['qmqp://10.0.0.1:9', false],
    ['qmqp://[::1]:628', false],
    ['unix:/run/hub', false],
  ] as const) {
    const [server] = parseServerVariable(bytesOf(text));
    assert.ok(server);
    assert.deepEqual([formatPlace(server), isName(server)], [text, named]);
  }
});
