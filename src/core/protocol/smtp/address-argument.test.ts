import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../../bytes/bytes.ts';
import { parseAddressArgument, replaceLocalLiteral } from './address-argument.ts';

/** Argument, address, what follows it; undefined where the end of the address is missing. */
const CASES: [string, string, string | undefined][] = [
  ['FROM:<joe@c>', 'joe@c', ''],
  ['FROM:<joe@c> SIZE=1', 'joe@c', ' SIZE=1'],
  ['FROM:<"joe \\"q\\" user"@x>', 'joe "q" user@x', ''],
  ['TO:<"a>b"@x>y', 'a>b@x', 'y'],
  ['TO:<a\\>b@x>', 'a>b@x', ''],
  ['TO:<a"b c"d@x>', 'ab cd@x', ''],
  ['TO: ann@x extra', 'ann@x', 'extra'],
  ['TO:ann@x', 'ann@x', undefined],
  ['TO ann@x', '', undefined],
  ['', '', undefined],
  ['TO:', '', undefined],
  ['TO:   ', '', undefined],
  ['FROM:<@a,@b:joe@c>', 'joe@c', ''],
  ['FROM:<@x:@y:a@b>', '@y:a@b', ''],
  ['FROM:<@noroute>', '', undefined],
  ['TO:@a:joe@c x', 'joe@c', 'x'],
  ['TO:<"ann@x>', 'ann@x>', undefined],
  ['TO:<ann@x', 'ann@x', undefined],
  ['TO:<ann\\', 'ann', undefined],
  ['TO:< ann@x >', ' ann@x ', ''],
  ['foo bar Joe <joe@x>', 'joe@x', ''],
  ['<a<b>', 'a<b', ''],
  ['<>', '', ''],
];

for (const [argument, address, rest] of CASES) {
  test(`parseAddressArgument() reads ${JSON.stringify(argument)}`, () => {
    const parsed = parseAddressArgument(bytesOf(argument));
    assert.equal(textOf(parsed.address), address);
    assert.deepEqual([parsed.isTerminated, textOf(parsed.rest)], [rest !== undefined, rest ?? '']);
  });
}

test('parseAddressArgument() takes time in proportion to hostile arguments', () => {
  for (const part of ['"', '\\', '<', '@', ':', '@:']) {
    const argument = bytesOf(part.repeat(4_000_000 / part.length));
    const start = process.cpuUsage();
    parseAddressArgument(argument);
    const { user, system } = process.cpuUsage(start);
    assert.ok(user + system < 2_000_000, part);
  }
});

/** Address, and what becomes of it where 192.0.2.1 is local. */
const LITERALS: [string, string][] = [
  ['me@[192.0.2.1]', 'me@HOST'],
  ['a@b@[192.0.2.1]', 'a@b@HOST'],
  ['me@[448.256.258.0257]', 'me@HOST'],
  ['@[192.0.2.1]', '@HOST'],
  ['me@[192.0.2.2]', 'me@[192.0.2.2]'],
  ['me@[192.0.2.1]x', 'me@[192.0.2.1]x'],
  ['me@[192.0.2.1', 'me@[192.0.2.1'],
  ['me@192.0.2.1]', 'me@192.0.2.1]'],
  ['me@[192.0.2]', 'me@[192.0.2]'],
  ['me@[192.0.2.1.]', 'me@[192.0.2.1.]'],
  ['me@[192.0.2.1.5]', 'me@[192.0.2.1.5]'],
  ['me@[192..0.2.1]', 'me@[192..0.2.1]'],
  ['me@[ 192.0.2.1]', 'me@[ 192.0.2.1]'],
  ['me@[]', 'me@[]'],
  ['me@[', 'me@['],
  ['me@', 'me@'],
  ['[192.0.2.1]', '[192.0.2.1]'],
  ['', ''],
];

for (const [address, want] of LITERALS) {
  test(`replaceLocalLiteral() makes ${want} of ${address}`, () => {
    const isLocal = (ip: readonly number[]): boolean => ip.join('.') === '192.0.2.1';
    assert.equal(textOf(replaceLocalLiteral(bytesOf(address), bytesOf('HOST'), isLocal)), want);
  });
}
