import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatHostPort, parseHostPort } from './host-port.ts';

test('parseHostPort() reads what formatHostPort() writes', () => {
  const rows: [string, string, number][] = [
    ['127.0.0.1:628', '127.0.0.1', 628],
    ['hub.example.org:0', 'hub.example.org', 0],
    ['[::1]:65535', '::1', 65535],
    ['[fe80::1%eth0]:25', 'fe80::1%eth0', 25],
  ];
  for (const [text, host, port] of rows) {
    assert.deepEqual(parseHostPort(text), { host, port });
    assert.equal(formatHostPort({ host, port }), text);
  }
});

test('parseHostPort() refuses everything else', () => {
  const wrong = [
    '',
    '628',
    ':628',
    'h:',
    'h:x',
    'h:-1',
    'h:+1',
    'h: 1',
    'h:1 ',
    'h:1.0',
    'h:65536',
    'h:000001',
    '::1:628',
    '[]:1',
    'h:0x10',
  ];
  for (const text of wrong) assert.equal(parseHostPort(text), undefined, text);
});
