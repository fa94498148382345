import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textOf } from '../bytes/bytes.ts';
import { receivedByQmqp } from './received.ts';

const PLAIN = {
  remoteHost: 'client.example.net',
  remoteIp: '192.0.2.7',
  local: 'qmqp.example.org',
  dateText: '22 Nov 2026 17:51:10 -0000',
};

const CASES = [
  { name: 'names host and address', trace: PLAIN, want: 'client.example.net (192.0.2.7)' },
  {
    name: 'puts the info before the address',
    trace: { ...PLAIN, remoteInfo: 'joe' },
    want: 'client.example.net (joe@192.0.2.7)',
  },
  {
    name: 'keeps the at sign of an empty info',
    trace: { ...PLAIN, remoteInfo: '' },
    want: 'client.example.net (@192.0.2.7)',
  },
  {
    name: 'shows other bytes as question marks',
    trace: { ...PLAIN, remoteHost: 'a\nX: (b)_\0\xe9{', remoteInfo: 'some user' },
    want: 'a?X:??b????? (some?user@192.0.2.7)',
  },
  {
    name: 'lets the marks of addresses through',
    trace: { ...PLAIN, remoteHost: 'aZ09.@%+/=:-[]', remoteIp: '[::1]' },
    want: 'aZ09.@%+/=:-[] ([::1])',
  },
];

for (const { name, trace, want } of CASES) {
  test(`receivedByQmqp() ${name}`, () => {
    assert.equal(
      textOf(receivedByQmqp(trace)),
      `Received: from ${want}\n  by qmqp.example.org with QMQP; 22 Nov 2026 17:51:10 -0000\n`,
    );
  });
}
