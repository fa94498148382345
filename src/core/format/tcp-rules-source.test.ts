import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import { test } from 'node:test';
import { compileRules, readRules } from '../../../test/support/compile-rules.ts';
import { feedEveryWay } from '../../../test/support/feed-every-way.ts';
import { type Chance, fuzz } from '../../../test/support/fuzz.ts';
import { bytesOf, concatBytes, textOf } from '../bytes/bytes.ts';
import { ipv6Digits, parseIpv6 } from './ip-address.ts';

/** What rules become: `KEY=DATA` per record with NUL as `$`, then `!LINE` if one is wrong. */
function recordsOf(pieces: readonly Uint8Array[]): string[] {
  const { records, bad } = readRules(pieces);
  const shown = records.map(({ key, data }) => `${textOf(key)}=${textOf(data).replaceAll('\0', '$')}`);
  return bad === undefined ? shown : [...shown, `!${bad}`];
}

function check(rows: readonly (readonly [string, readonly string[]])[]): void {
  for (const [text, want] of rows) {
    assert.deepEqual(feedEveryWay(bytesOf(text), recordsOf, { cutsMax: 100 }), want, text);
  }
}

test('a line is an address, a decision and variables', () => {
  check([
    ['10.0.:allow,RELAYCLIENT="@fix.me"', ['10.0.=+RELAYCLIENT=@fix.me$']],
    [':deny \t\n', ['=D$']],
    ['1.2.3.4:deny,WHY="spam"\n#x:deny\n\nnone\n', ['1.2.3.4=D$+WHY=spam$']],
    [':allow,A=/x/,B=xyx,D=,,,E==a=', ['=+A=x$+B=y$+D=$+E=a$']],
    [':allow,,B="y"', ['=+,B=y$']],
    ['a:allow\nb:oops \nc:allow', ['a=', '!b:oops']],
  ]);
  for (const rest of [
    'allow,',
    'allow,A',
    'allow,A=',
    'allow,A="x',
    'allow ,A="x"',
    'denyx',
    'Deny',
    '',
    ' deny',
  ]) {
    check([[`:${rest}`, [`!:${rest.trimEnd()}`]]]);
  }
});

test('one number of an address can be a range', () => {
  check([
    ['1.2.3.37-39:deny', ['1.2.3.37=D$', '1.2.3.38=D$', '1.2.3.39=D$']],
    ['10.2-3.:allow', ['10.2.=', '10.3.=']],
    ['1.2.3.-1:allow', ['1.2.3.0=', '1.2.3.1=']],
    ['1.2.3.4-:allow', []],
    ['1.2.3.254-999:allow', ['1.2.3.254=', '1.2.3.255=']],
    ['1.2.3.008-009:allow', ['1.2.3.8=', '1.2.3.9=']],
    ['1.2-2.4-5.:allow', ['1.2.4-5.=']],
    // 2^64 + 1 counts as 1.
    ['18446744073709551617-2.:allow', ['1.=', '2.=']],
    ['=a-b:allow', ['=a-b=']],
    ['a-b@1.:allow', ['a-b@1.=']],
    ['1.2.3.4-5-6:allow', ['!1.2.3.4-5-6:allow']],
    ['my-host:allow', ['!my-host:allow']],
  ]);
});

test('a network of IPv4 becomes prefixes or addresses', () => {
  check([
    ['10.1.0.0/22:allow', ['10.1.0.=', '10.1.1.=', '10.1.2.=', '10.1.3.=']],
    ['10.1.2.3/22:deny', ['10.1.0.=D$', '10.1.1.=D$', '10.1.2.=D$', '10.1.3.=D$']],
    ['10.0.0.0/8:allow', ['10.=']],
    ['10.20.30.40/16:allow', ['10.20.=']],
    ['10.20.30.40/32:allow', ['10.20.30.40=']],
    ['10.20.30.40/31:allow', ['10.20.30.40=', '10.20.30.41=']],
  ]);
  for (const address of [
    '10.0.0/8',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/08',
    '010.0.0.0/8',
    'a@10.0.0.0/8',
  ]) {
    check([[`${address}:allow`, [`${address}=`]]]);
  }
});

test('brackets hold IPv6 addresses, networks and names of certificates', () => {
  const one = 'ip6:20010db8000000000000000000000001';
  check([
    ['[2001:db8::1]:allow', [`${one}=`]],
    ['joe@[2001:DB8::1]:deny', [`joe@${one}=D$`]],
    ['[2001:db8::]/32:deny,A="b"', ['ip6:20010db8=D$+A=b$']],
    ['[2001:db8::]/31:allow', ['ip6:20010db8=', 'ip6:20010db9=']],
    ['[fd9f::]/9:allow', [8, 9, 'a', 'b', 'c', 'd', 'e', 'f'].map((digit) => `ip6:fd${digit}=`)],
    ['[::]/0:deny', ['ip6:=D$']],
    ['[2001:db8::1]/128:allow', [`${one}=`]],
    ['[cert:mail.example.org]:allow', ['[cert:mail.example.org]=']],
    ['[cert:allow,A="b"]:deny', ['[cert:allow,A="b"]=D$']],
  ]);
  for (const line of [
    '[2001:db8::]/129:allow',
    '[2001:db8::]32:allow',
    '[2001:db8::1:allow',
    'x[2001:db8::1]:allow',
    'joe@[2001:db8::]/32:allow',
    '[::ffff:1.2.3.4]:deny',
    '[cert:]:allow',
    'joe@[cert:x]:allow',
    '[cert:x]/8:allow',
    '[2001:db8::1]:oops',
    '2001:db8::1:allow',
    '::1:deny',
  ]) {
    check([[line, [`!${line}`]]]);
  }
});

test('a line that was right before there were brackets means what it meant', () => {
  check([
    ['[cert:allow', ['[cert=']],
    ['[:deny,A="]:allow"', ['[=D$+A=]:allow$']],
    ['[2001]:allow', ['[2001]=']],
    ['x@[a:deny', ['x@[a=D$']],
  ]);
});

function randomIpv6(chance: Chance): string {
  return Array.from({ length: 8 }, () => chance.below(65_536).toString(16)).join(':');
}

test('a network has the addresses that it should, in 256 keys at most', () => {
  fuzz((chance) => {
    const isIpv6 = chance.below(2) === 0;
    const family = isIpv6 ? 'ipv6' : 'ipv4';
    const make = () =>
      isIpv6 ? randomIpv6(chance) : Array.from({ length: 4 }, () => chance.below(256)).join('.');
    const address = make();
    const bits = chance.below(isIpv6 ? 129 : 33);
    const text = isIpv6 ? `[${address}]/${bits}` : `${address}/${bits}`;
    const { records, bad } = readRules([bytesOf(`${text}:deny\n`)]);
    assert.equal(bad, undefined);
    assert.ok(records.length <= (isIpv6 ? 8 : 256), `${records.length} keys`);
    const keys = new Set(records.map(({ key }) => textOf(key)));
    const list = new BlockList();
    list.addSubnet(address, bits, family);
    const separator = isIpv6 ? ':' : '.';
    const tail = make().split(separator);
    const near = [...address.split(separator).slice(0, chance.below(9)), ...tail]
      .slice(0, tail.length)
      .join(separator);
    for (const tried of [address, near, make()]) {
      const whole = isIpv6 ? `ip6:${textOf(ipv6Digits(parseIpv6(bytesOf(tried))!))}` : tried;
      const isIn = Array.from(whole, (_, i) => whole.slice(0, i + 1)).some(
        (key) => keys.has(key) && (isIpv6 || key === whole || key.endsWith('.')),
      );
      assert.equal(isIn, list.check(tried, family), `${tried} in ${text}`);
    }
  });
});

test('rules take time and memory in proportion to their length, whatever is in them', () => {
  const hostile = [
    '[',
    '-',
    '1-',
    ':allow,A=',
    ',',
    '=',
    '@[',
    '[::',
    '[cert:',
    '1.',
    '/',
    '\n',
    ':allow\n',
    '"',
  ];
  for (const piece of hostile) {
    const long = bytesOf(piece.repeat(2_000_000 / piece.length));
    for (const line of [
      long,
      concatBytes([bytesOf(':allow,A="'), long]),
      concatBytes([bytesOf('[1:'), long]),
    ]) {
      const start = process.cpuUsage();
      readRules([line]);
      const { user, system } = process.cpuUsage(start);
      // A quadratic reader takes minutes for these two megabytes.
      assert.ok(user + system < 5_000_000, `${user + system} µs for ${piece}`);
    }
  }
  assert.ok('cdb' in compileRules(`:allow,A="${'x'.repeat(2_000_000)}"`));
});
