import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../../bytes/bytes.ts';
import { listDnsServers } from './servers.ts';

test('listDnsServers() takes four numbers as one server, else resolv.conf, else this host', () => {
  const conf =
    '# a\nnameserver 192.0.2.1\nnameserver\t192.0.2.2 # b\nnameserverx 192.0.2.3\nnameserver 2001:db8::1\nnameserver x\n';
  const rows: [string | undefined, string, string[]][] = [
    ['127.0.0.1', conf, ['127.0.0.1']],
    ['1.2.3.4.5.6.7.8', conf, ['1.2.3.4', '5.6.7.8']],
    ['1.2.3.4.5', conf, ['1.2.3.4']],
    ['1.2.3.300x', conf, ['1.2.3.44']],
    ['', conf, ['192.0.2.1', '192.0.2.2', '2001:db8::1']],
    [undefined, conf, ['192.0.2.1', '192.0.2.2', '2001:db8::1']],
    [undefined, 'nameserver 192.0.2.9', ['192.0.2.9']],
    [undefined, '', ['127.0.0.1']],
    ['x', 'search a\n', ['127.0.0.1']],
  ];
  for (const [value, file, want] of rows) {
    assert.deepEqual(
      listDnsServers(value === undefined ? undefined : bytesOf(value), bytesOf(file)),
      want,
      String(value),
    );
  }
});

test('listDnsServers() takes sixteen at most', () => {
  assert.equal(listDnsServers(bytesOf('1.2.3.4.'.repeat(20)), bytesOf('')).length, 16);
  assert.equal(listDnsServers(undefined, bytesOf('nameserver 1.2.3.4\n'.repeat(20))).length, 16);
});
