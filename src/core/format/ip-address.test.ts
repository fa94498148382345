import assert from 'node:assert/strict';
import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { test } from 'node:test';
import { fuzz } from '../../../test/support/fuzz.ts';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { ipv6Digits, parseIpv4, parseIpv6 } from './ip-address.ts';

function digitsOf(text: string): string | undefined {
  const groups = parseIpv6(bytesOf(text));
  return groups && textOf(ipv6Digits(groups));
}

test('parseIpv6() reads every form of an address', () => {
  const zeros = (count: number) => '0'.repeat(count);
  const rows: [string, string | undefined][] = [
    ['::', zeros(32)],
    ['::1', `${zeros(31)}1`],
    ['1::', `0001${zeros(28)}`],
    ['2001:db8::aBcD:1', `20010db8${zeros(16)}abcd0001`],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['1:2:3:4:5:6:7::', '00010002000300040005000600070000'],
    ['::ffff:192.0.2.255', `${zeros(20)}ffffc00002ff`],
    ['1:2:3:4:5:6:1.2.3.4', '00010002000300040005000601020304'],
    ['1:2:3:4:5:6:7:8::', undefined],
    ['1:2:3:4:5:6:7:1.2.3.4', undefined],
    ['fe80::1%eth0', undefined],
    ['::1.2.3.04', undefined],
    ['12345::', undefined],
  ];
  for (const [text, want] of rows) assert.equal(digitsOf(text), want, text);
});

test('parseIpv4() and parseIpv6() take what Node takes, and understand the same by it', () => {
  const pieces = [
    '0',
    '1',
    '9',
    '25',
    '256',
    'a',
    'F',
    'ffff',
    'db8',
    '.',
    '.',
    ':',
    ':',
    '::',
    '::',
    'g',
    ' ',
    '1.2.3.4',
  ];
  let addresses = 0;
  fuzz((chance) => {
    const text = Array.from({ length: 1 + chance.below(12) }, () => chance.of(pieces)).join('');
    const shape = Array.from({ length: 8 }, () => chance.below(65_536).toString(16)).join(':');
    for (const tried of [
      text,
      shape,
      shape.replace(/:[^:]*:/, '::'),
      shape.replace(/:\w+:\w+$/, ':1.2.3.4'),
    ]) {
      assert.equal(parseIpv4(bytesOf(tried)) !== undefined, isIPv4(tried), tried);
      const digits = digitsOf(tried);
      assert.equal(digits !== undefined, isIPv6(tried), tried);
      if (digits === undefined || addresses++ % 100 > 0) continue;
      const list = new BlockList();
      list.addAddress(tried, 'ipv6');
      assert.ok(list.check(digits.replace(/(\w{4})(?!$)/g, '$1:'), 'ipv6'), `${tried} is not ${digits}`);
    }
  });
  assert.ok(addresses > 100);
});
