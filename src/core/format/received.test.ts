import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textOf } from '../bytes/bytes.ts';
import { receivedByQmqp, receivedBySmtp } from './received.ts';

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

const SMTP = { ...PLAIN, helo: undefined, protocol: 'SMTP', showsBrackets: false };

const SMTP_CASES = [
  { name: 'shows no name before HELO', trace: SMTP, want: 'client.example.net (192.0.2.7)' },
  {
    name: 'shows no name that is the host in other letters',
    trace: { ...SMTP, helo: 'CLIENT.example.NET' },
    want: 'client.example.net (192.0.2.7)',
  },
  {
    name: 'shows another name',
    trace: { ...SMTP, helo: 'x', remoteInfo: 'joe' },
    want: 'client.example.net (HELO x) (joe@192.0.2.7)',
  },
  {
    name: 'shows an empty name',
    trace: { ...SMTP, helo: '' },
    want: 'client.example.net (HELO ) (192.0.2.7)',
  },
  {
    name: 'tells letters beyond ASCII apart',
    trace: { ...SMTP, remoteHost: '\xe9', helo: '\xc9' },
    want: '? (HELO ?) (192.0.2.7)',
  },
  {
    name: 'hides brackets',
    trace: { ...SMTP, helo: '[192.0.2.7]' },
    want: 'client.example.net (HELO ?192.0.2.7?) (192.0.2.7)',
  },
  {
    name: 'shows brackets where that is asked for',
    trace: { ...SMTP, helo: '[192.0.2.7] x', showsBrackets: true },
    want: 'client.example.net (HELO [192.0.2.7]?x) (192.0.2.7)',
  },
];

for (const { name, trace, want } of SMTP_CASES) {
  test(`receivedBySmtp() ${name}`, () => {
    assert.equal(
      textOf(receivedBySmtp(trace)),
      `Received: from ${want}\n  by qmqp.example.org with SMTP; 22 Nov 2026 17:51:10 -0000\n`,
    );
  });
}
