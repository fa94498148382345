import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { formatAnswer, formatRequestHead, parseAnswer, parseRequestHead } from './local-request.ts';

describe('the head of a request', () => {
  const head = formatRequestHead({ address: bytesOf('a@b'), sender: bytesOf(''), length: 12 });

  it('is read again, whatever follows', () => {
    const parsed = parseRequestHead(bytesOf(`${textOf(head)}mess\0age`));
    assert.equal(parsed?.headLength, head.length);
    const { address, sender, length } = parsed.request;
    assert.deepEqual([textOf(address), textOf(sender), length], ['a@b', '', 12]);
  });

  it('is not there before its last byte', () => {
    for (let length = 0; length < head.length; length++)
      assert.equal(parseRequestHead(head.subarray(0, length)), undefined);
  });
});

describe('an answer', () => {
  it('is read again, up to the first NUL of its text', () => {
    const answer = formatAnswer({ letter: 'D', text: 'no\n\xff\0more' });
    assert.deepEqual(parseAnswer(answer), { letter: 'D', text: 'no\n\xff' });
    assert.deepEqual(parseAnswer(bytesOf('K\0')), { letter: 'K', text: '' });
  });

  it('is nothing unless it is whole', () => {
    for (const bad of ['', 'K', 'Kdid 1', '\0', 'Xa\0', 'Ka\0b', 'Ka\0\0'])
      assert.equal(parseAnswer(bytesOf(bad)), undefined, bad);
  });
});
