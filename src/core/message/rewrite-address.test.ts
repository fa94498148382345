import assert from 'node:assert/strict';
import test from 'node:test';
import { ByteBuffer } from '../bytes/byte-buffer.ts';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { rewriteAddress } from './rewrite-address.ts';
import { appendEnvelopeForm, parseTokens, TokenList } from './tokens.ts';

function rewrite(address: string, host: string, domain: string): string {
  const defaults = {
    host: parseTokens(bytesOf(`@${host}`))!,
    domain: parseTokens(bytesOf(`.${domain}`))!,
    plus: parseTokens(bytesOf('.plus.example.net'))!,
  };
  const result = new TokenList();
  result.append(97, bytesOf('left over from an earlier address'));
  rewriteAddress(parseTokens(bytesOf(address))!, defaults, result);
  const text = new ByteBuffer();
  appendEnvelopeForm(text, result);
  return textOf(text.toBytes());
}

const CASES: [string, string][] = [
  ['', ''],
  ['joe', 'joe@mail.example.org'],
  ['joe@host', 'joe@host.example.org'],
  ['joe@host.com', 'joe@host.com'],
  ['eric@mammoth.cs+', 'eric@mammoth.cs.plus.example.net'],
  ['eric@+', 'eric@.plus.example.net'],
  ['joe+', 'joe+@mail.example.org'],
  ['joe@a+b', 'joe@a+b.example.org'],
  ['joe@"a+"', 'joe@a+.example.org'],
  ['joe@[1.2.3.4]', 'joe@[1.2.3.4]'],
  ['joe@[]', 'joe@[]'],
  ['joe@[].', 'joe@[]'],
  ['@a:joe@[]', '@a:joe@[]'],
  ['[]', '[]@mail.example.org'],
  ['joe@host.', 'joe@host.example.org'],
  ['joe@a.b.', 'joe@a.b'],
  ['joe@a.b..', 'joe@a.b.'],
  ['joe@', 'joe@mail.example.org'],
  ['joe@.', 'joe@mail.example.org'],
  ['joe.@', 'joe.@mail.example.org'],
  ['a@b@c', 'a@b@c.example.org'],
  ['@a,@b:joe@c.d', 'joe@c.d'],
  ['@a,@b', ''],
  ['@foo:', ''],
  ['@', ''],
  ['.', ''],
  ['@a:.', ''],
  ['@a:@b:joe@c', '@b:joe@c.example.org'],
  ['joe@host (c)', 'joe@host.example.org'],
  ['eric@cs+ (c)', 'eric@cs+.example.org'],
];

for (const [address, want] of CASES) {
  test(`rewriteAddress() makes ${address || 'nothing'} to ${want || 'nothing'}`, () => {
    assert.equal(rewrite(address, 'mail.example.org', 'example.org'), want);
  });
}

test('rewriteAddress() completes the default host itself', () => {
  assert.equal(rewrite('a', 'dh', 'dd.example'), 'a@dh.dd.example');
  assert.equal(rewrite('a', 'dh+', 'dd.example'), 'a@dh.plus.example.net');
  assert.equal(rewrite('a', 'dh+ (c)', 'dd.example'), 'a@dh+.dd.example');
});

test('rewriteAddress() takes empty defaults as they are', () => {
  assert.equal(rewrite('b@c', '', ''), 'b@c.');
  assert.equal(rewrite('a', '', ''), 'a@.');
});
