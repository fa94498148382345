import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../bytes/bytes.ts';
import { parseSocketmapAddress } from './socketmap-address.ts';

const name = bytesOf('recipient');

test('parseSocketmapAddress() reads what Postfix does', () => {
  const entries: [string, unknown][] = [
    ['inet:192.0.2.1:629:recipient', { kind: 'inet', host: '192.0.2.1', port: 629, name }],
    ['inet:hub.example:65535:recipient', { kind: 'inet', host: 'hub.example', port: 65_535, name }],
    ['inet:[2001:db8::1]:1:recipient', { kind: 'inet', host: '2001:db8::1', port: 1, name }],
    ['unix:/run/map:recipient', { kind: 'unix', path: bytesOf('/run/map'), name }],
    ['unix:/run/a:b\xff:recipient', { kind: 'unix', path: bytesOf('/run/a:b\xff'), name }],
  ];
  for (const [entry, want] of entries) assert.deepEqual(parseSocketmapAddress(bytesOf(entry)), want, entry);
});

test('parseSocketmapAddress() reads nothing else', () => {
  const entries = [
    ...[
      '',
      ':',
      'inet',
      'inet:',
      'inet:h',
      'inet:h:1',
      'inet:h:1:',
      'inet::1:m',
      'inet:1:m',
      'h:1:m',
      'tcp:h:1:m',
    ],
    ...[
      'inet:h:0:m',
      'inet:h:65536:m',
      'inet:h:123456:m',
      'inet:h:-1:m',
      'inet:h::m',
      'inet:h:1x:m',
      'inet:h:1:m k',
    ],
    ...['inet:2001:db8::1:1:m', 'inet:[]:1:m', 'inet:[::1:1:m', 'inet:[::1]x:1:m', 'INET:h:1:m'],
    ...['unix:', 'unix:m', 'unix::m', 'unix:run:m', 'unix:/run', 'unix:/run:'],
  ];
  for (const entry of entries) assert.equal(parseSocketmapAddress(bytesOf(entry)), undefined, entry);
});
