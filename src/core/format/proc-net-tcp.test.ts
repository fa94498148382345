import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../bytes/bytes.ts';
import { findSocketEnds } from './proc-net-tcp.ts';

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const row = (local: string, remote: string, inode: number) =>
  `   1: ${local} ${remote} 01 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0 20 4 0 10 -1\n`;

test('findSocketEnds() reads the row of a socket, and no other', () => {
  const table = bytesOf(
    HEAD + row('0100007F:0019', '0200A8C0:FFFF', 4711) + row('00000000:0272', '00000000:0000', 47),
  );
  assert.deepEqual(findSocketEnds(table, '4711'), {
    localIp: '127.0.0.1',
    localPort: 25,
    remoteIp: '192.168.0.2',
    remotePort: 65535,
  });
  assert.equal(findSocketEnds(table, '471'), undefined);
  assert.equal(findSocketEnds(bytesOf(''), '1'), undefined);
});

test('findSocketEnds() tells IPv6, and IPv4 in it as IPv4', () => {
  const table = bytesOf(
    row('B80D0120000000000000000001000000:0019', '0000000000000000FFFF00000100007F:1000', 9) +
      row('0100007F', '0100007F:1', 10),
  );
  assert.deepEqual(findSocketEnds(table, '9'), {
    localIp: '2001:0db8:0000:0000:0000:0000:0000:0001',
    localPort: 25,
    remoteIp: '127.0.0.1',
    remotePort: 4096,
  });
  assert.equal(findSocketEnds(table, '10'), undefined);
});
