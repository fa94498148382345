import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../../bytes/bytes.ts';
import { encodeDnsName, readDnsName, reverseDnsName } from './name.ts';

const read = (message: string, offset = 0) => {
  const name = readDnsName(bytesOf(message), offset);
  return name && [textOf(name.text), name.end];
};

test('encodeDnsName() makes labels, with the bytes that octal numbers mean', () => {
  const rows: [string, string | undefined][] = [
    ['', '\0'],
    ['.', '\0'],
    ['a', '\x01a\0'],
    ['mx.Example', '\x02mx\x07Example\0'],
    ['mx.example.', '\x02mx\x07example\0'],
    ['odd\\040n\\351', '\x06odd n\xe9\0'],
    ['a\\8', '\x03a\\8\0'],
    ['a\\777', '\x05a\\777\0'],
    ['a..b', undefined],
    ['.a', undefined],
    ['x'.repeat(63), `\x3f${'x'.repeat(63)}\0`],
    ['x'.repeat(64), undefined],
    [`${'x'.repeat(63)}.`.repeat(4), undefined],
  ];
  for (const [text, want] of rows) {
    const wire = encodeDnsName(bytesOf(text));
    assert.equal(wire && textOf(wire), want, text);
  }
});

test('readDnsName() reads labels and pointers, in lower case and with odd bytes in octal', () => {
  assert.deepEqual(read('\0'), ['.', 1]);
  assert.deepEqual(read('\x02MX\x07example\0rest'), ['mx.example', 12]);
  assert.deepEqual(read('\x06odd n\xe9\0'), ['odd\\040n\\351', 8]);
  assert.deepEqual(read('\x01b\0\x01a\xc0\0x', 3), ['a.b', 7]);
});

test('readDnsName() refuses what leads outside, forward or in circles, and names that are too long', () => {
  const bad: [string, number][] = [
    ['', 0],
    ['\x03ab', 0],
    ['\x02ab', 0],
    ['\xc0', 0],
    ['\xc0\0', 0],
    ['\x01a\xc0\0', 0],
    ['\x01a\xc0\x02', 0],
    ['\xc0\x02\x01a\0', 0],
    ['\x40'.padEnd(70, 'x'), 0],
    [`${`\x3f${'x'.repeat(63)}`.repeat(4)}\0`, 0],
  ];
  for (const [message, offset] of bad) assert.equal(read(message, offset), undefined, message);
});

test('readDnsName() needs no more than one step per byte of a name, whatever the pointers', () => {
  // Each pointer leads to the one before it.
  let message = '\0';
  for (let at = 1; at < 16_000; at += 2)
    message += String.fromCharCode(192 | (Math.max(at - 2, 0) >> 8), Math.max(at - 2, 0) & 255);
  assert.equal(read(message, 15_999), undefined);
  assert.deepEqual(read(message, 201), ['.', 203]);
});

test('reverseDnsName() turns addresses round', () => {
  const zones = { ipv4: bytesOf('in-addr.arpa'), ipv6: bytesOf('ip6.arpa') };
  const rows: [string, string | undefined][] = [
    ['192.0.2.7', '7.2.0.192.in-addr.arpa'],
    ['2001:db8::1', `1.${'0.'.repeat(23)}8.b.d.0.1.0.0.2.ip6.arpa`],
    ['mx.example', undefined],
  ];
  for (const [ip, want] of rows) {
    const name = reverseDnsName(bytesOf(ip), zones);
    assert.equal(name && textOf(name), want, ip);
  }
});
