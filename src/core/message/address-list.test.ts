import assert from 'node:assert/strict';
import test from 'node:test';
import { ByteBuffer } from '../bytes/byte-buffer.ts';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { AddressListRewriter } from './address-list.ts';
import { printTokens } from './print-tokens.ts';
import { rewriteAddress } from './rewrite-address.ts';
import { appendEnvelopeForm, parseTokens } from './tokens.ts';

const DEFAULTS = {
  host: parseTokens(bytesOf('@mail.example.org'))!,
  domain: parseTokens(bytesOf('.example.org'))!,
  plus: parseTokens(bytesOf('.plus.example.net'))!,
};

// One for all cases, since it is used for one field after the other.
const REWRITER = new AddressListRewriter();

/** The field's text without name and the addresses in the order they came up; undefined if unparsable. */
function rewrite(text: string): { text: string; addresses: string[] } | undefined {
  const addresses: string[] = [];
  const tokens = parseTokens(bytesOf(`To: ${text}\n`));
  const isParsed = REWRITER.rewrite(tokens!, (address, result) => {
    assert.equal(result.length, 0);
    rewriteAddress(address, DEFAULTS, result);
    const envelope = new ByteBuffer();
    appendEnvelopeForm(envelope, result);
    addresses.push(textOf(envelope.toBytes()));
  });
  if (!isParsed) return undefined;
  const printed = new ByteBuffer();
  printTokens(printed, REWRITER.output, true);
  return { text: textOf(printed.toBytes()).slice(3, -1).trimStart(), addresses };
}

const CASES: [string, string | undefined, string[]][] = [
  ['', '', []],
  ['h1@x.y, h2@x.y', 'h1@x.y, h2@x.y', ['h2@x.y', 'h1@x.y']],
  [
    'djb fred joe@x.y',
    'djb@mail.example.org, fred@mail.example.org, joe@x.y',
    ['joe@x.y', 'fred@mail.example.org', 'djb@mail.example.org'],
  ],
  [
    'djb (x) fred',
    'djb@mail.example.org, fred@mail.example.org (x)',
    ['fred@mail.example.org', 'djb@mail.example.org'],
  ],
  ['(a)joe(b)@(c)host(d).(e)com(f)', 'joe@host.com (a) (b) (c) (d) (e) (f)', ['joe@host.com']],
  ['joe@x.y(one)jim@x.y(two)', 'joe@x.y, jim@x.y (one) (two)', ['jim@x.y', 'joe@x.y']],
  [',, a@b ,,c@d,', ', , a@b.example.org, , c@d.example.org,', ['c@d.example.org', 'a@b.example.org']],
  ['a@b.c; d@e.f', 'a@b.c;, d@e.f', ['d@e.f', 'a@b.c']],
  ['a@b.c; d@e.f; g@h.i', undefined, ['g@h.i', 'd@e.f']],
  ['a@b.c;', 'a@b.c;', ['a@b.c']],
  [
    'friends: a@b, c@d;',
    'friends: a@b.example.org, c@d.example.org;',
    ['c@d.example.org', 'a@b.example.org'],
  ],
  ['friends: a@b; k@l.m', 'friends: a@b.example.org;, k@l.m', ['k@l.m', 'a@b.example.org']],
  ['friends: a@b', undefined, []],
  ['g1: a@b, g2: c@d;;', undefined, []],
  [
    'j@x.y, my (old) <friends>: a@b;',
    'j@x.y, my (old) <friends>: a@b.example.org;',
    ['a@b.example.org', 'j@x.y'],
  ],
  ['<a@b.c> <d@e.f>', '<a@b.c> <d@e.f>', ['d@e.f', 'a@b.c']],
  ['Joe <joe@x.y', 'Joe <joe@x.y', ['Joe<joe@x.y']],
  ['joe@x.y>', undefined, []],
  ['<<joe@x.y>>', '<@mail.example.org <joe@x.y>>', ['joe@x.y>', '<@mail.example.org']],
  ['<a@b.c, d@e.f>', '<a@b.c, d@e.f>', ['a@b.c,d@e.f']],
  ['<>, bob@x.y, <>', '<>, bob@x.y, <>', ['', 'bob@x.y', '']],
  ['., @', ',', ['', '']],
  ['(nobody)', '(nobody)', []],
  ['[x] <a@b.c>', '[x]@mail.example.org <a@b.c>', ['a@b.c', '[x]@mail.example.org']],
  ['<@a:@b:joe@c>', '<@b: joe@c.example.org>', ['@b:joe@c.example.org']],
  ['<joe@host (c)>', '<joe@host (c).example.org>', ['joe@host.example.org']],
];

for (const [input, text, addresses] of CASES) {
  test(`AddressListRewriter ${text === undefined ? 'refuses' : 'reads'} ${JSON.stringify(input)}`, () => {
    const result = rewrite(input);
    assert.equal(result?.text, text);
    if (text !== undefined) assert.deepEqual(result?.addresses, addresses);
  });
}
