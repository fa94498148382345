import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { formatVerdictLine } from './tcpserver-log.ts';

const CONNECTION = {
  pid: 7,
  localHost: undefined,
  localIp: '127.0.0.1',
  localPort: 25,
  remoteHost: undefined,
  remoteIp: '10.0.0.1',
  remoteInfo: undefined,
  remotePort: 4711,
};

test('formatVerdictLine() leaves unknown names empty', () => {
  assert.equal(
    textOf(formatVerdictLine(true, CONNECTION)),
    'tcpserver: ok 7 :127.0.0.1:25 :10.0.0.1::4711\n',
  );
});

test('formatVerdictLine() lets no name forge a field or a line', () => {
  const all = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i));
  const line = textOf(
    formatVerdictLine(false, {
      ...CONNECTION,
      localHost: bytesOf('a b\n%:\x7f\xe9'),
      remoteInfo: bytesOf(all.slice(80, 160)),
    }),
  );
  assert.match(line, /^tcpserver: deny 7 a\?b\?\?\?\?\?:127/);
  assert.equal(line.indexOf('\n'), line.length - 1);
  assert.equal(line.split(':').length, 7);
});

test('formatVerdictLine() takes 100 bytes of a name, and says so from 100 on', () => {
  const line = (length: number) =>
    textOf(formatVerdictLine(true, { ...CONNECTION, remoteHost: bytesOf('x'.repeat(length)) }));
  assert.match(line(99), / x{99}:/);
  assert.match(line(100), / x{100}\.\.\.:/);
  assert.match(line(101), / x{100}\.\.\.:/);
});
