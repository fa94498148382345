import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { bytesOf } from '../core/bytes/bytes.ts';
import { RequestFingerprint } from './request-fingerprint.ts';

const HEADER = 'Message-ID: <o@a>\n\n';

function take(pieces: readonly string[], addresses: readonly string[]): string | undefined {
  const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const fingerprint = new RequestFingerprint(size);
  for (const piece of pieces) fingerprint.message(bytesOf(piece));
  for (const address of addresses) fingerprint.address(bytesOf(address));
  return fingerprint.end();
}

describe('RequestFingerprint', () => {
  it('is the beginning of a known hash over all parts', () => {
    const input = `23:${HEADER}b\xff\0\na@b\0c@d\0`;
    const digest = createHash('sha256').update(input, 'latin1').digest('latin1');
    assert.equal(take([`${HEADER}b\xff\0\n`], ['a@b', 'c@d']), digest.slice(0, 16));
  });

  it('does not depend on the pieces that the message comes in, small and large', () => {
    for (const size of [100, 200_000]) {
      const message = HEADER + 'x'.repeat(size);
      const whole = take([message], ['a', 'b']);
      assert.equal(whole?.length, 16);
      for (const step of [size > 1000 ? 999 : 1, 70_000]) {
        const pieces = [];
        for (let at = 0; at < message.length; at += step) pieces.push(message.slice(at, at + step));
        assert.equal(take(pieces, ['a', 'b']), whole, `pieces of ${step} of ${size} bytes`);
      }
    }
  });

  it('differs when anything differs', () => {
    const many = Array.from({ length: 1000 }, (_, i) => `r${i}`);
    const requests: [string, string[]][] = [
      ['', ['a', 'b']],
      ['x', ['a', 'b']],
      ['a', ['\0b']],
      ['', ['a', 'B']],
      ['', ['b', 'a']],
      ['', ['a', '', 'b']],
      ['', ['', 'a', 'b']],
      ['', ['ab']],
      ['', ['a']],
      ['', many],
      ['', [...many.slice(0, 500), 'other', ...many.slice(501)]],
    ];
    const all = requests.map(([body, addresses]) => take([HEADER + body], addresses));
    assert.equal(new Set(all).size, requests.length);
  });

  it('is none with a Message-ID that is a process number, of which each message of the process may have the same', () => {
    const none = (id: string) => take([`Message-ID: ${id}\n\n`], ['a', 'b']) === undefined;
    for (const id of ['<1@vm>', '<4194304@vm>', '16699@vm']) assert.ok(none(id), id);
    for (const id of ['<20260101@vm>', '<1.2@vm>', '<1-2@vm>', '<a1@vm>', '<1>', '<@vm>', '<1', '1'])
      assert.ok(!none(id), id);
  });

  it('is none without a Message-ID in the header', () => {
    assert.equal(take(['Subject: x\n\nMessage-ID: <1@a>\n'], ['a', 'b']), undefined);
    assert.equal(take([''], ['a', 'b']), undefined);
    assert.equal(take(['Subject: x\n'.repeat(20_000)], ['a', 'b']), undefined);
  });
});
