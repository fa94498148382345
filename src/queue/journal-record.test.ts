// Records as bytes: what earlier hubs wrote, read by this one, and what is new.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import {
  decodeRecord,
  encodeRecord,
  type JournalRecord,
  type NewRecord,
  recordSize,
} from './journal-record.ts';
import type { Envelope, Recipient } from './queue.ts';

const SEGMENT = 7;
const FINGERPRINT = '\0\xff0123456789abcd';
const ENVELOPE = {
  sender: bytesOf('a@b'),
  recipients: [{ channel: 'local' as const, address: bytesOf('c@d') }],
};

function encode(record: NewRecord): Buffer {
  const buffer = Buffer.alloc(recordSize(record));
  encodeRecord(record, SEGMENT, buffer, 0);
  return buffer;
}

/** All records of a segment. */
function decode(buffer: Buffer, segment = SEGMENT): JournalRecord[] {
  const records = [];
  for (let at = 0; at < buffer.length; ) {
    const decoded = decodeRecord(buffer, at, segment);
    assert.ok(decoded, `a record at ${at}`);
    records.push(decoded.record);
    at = decoded.end;
  }
  return records;
}

describe('journal records', () => {
  it('keep the destinations that an operator chose, and hubs from before read them as due times', () => {
    const record: NewRecord = {
      type: 'settle',
      id: 7,
      segment: SEGMENT,
      channel: 'remote',
      nextDueMs: 5,
      verdicts: [],
      again: [1, 4],
      destinations: ['>relay.example:25', '>@x.example'],
    };
    const buffer = encode(record);
    assert.deepEqual(decode(buffer), [record]);
    assert.equal(buffer.length, recordSize(record));
  });

  it('of hubs that knew no fingerprints are read as ever', () => {
    // Written by such a hub: start, a message to two recipients, one of them delivered.
    const written =
      'd4759357140000000100000001000000000000000000000000000000000000000000f03f' +
      '19a745d2340000000100000002000000000000000000f03f000000a2941a6d4200000000' +
      '000000400002000000780a030061406202000000000300634064010300654066' +
      '2cec4dbd220000000100000003000000000000000000f03f0100000001000000000000f8' +
      '7f01000000010000000100000000';
    const [start, accept, settle, ...others] = decode(Buffer.from(written, 'hex'), 1);
    assert.deepEqual(start, { type: 'start', previous: 0, previousLength: 0, nextId: 1 });
    assert.ok(accept?.type === 'accept');
    const { sender, recipients, ...rest } = accept;
    assert.deepEqual(rest, {
      type: 'accept',
      id: 1,
      birthMs: 1e12,
      size: 2,
      bodyAt: 81,
      fingerprint: undefined,
    });
    assert.deepEqual([sender, ...recipients.map(({ address }) => address)].map(textOf), [
      'a@b',
      'c@d',
      'e@f',
    ]);
    assert.ok(settle?.type === 'settle');
    assert.deepEqual(settle.verdicts, [{ index: 1, state: 'done' }]);
    assert.deepEqual(others, []);
  });

  it('have the fingerprint of a message behind what hubs that knew none read', () => {
    for (const body of [undefined, bytesOf('x'.repeat(16))]) {
      const message = { type: 'accept', id: 3, birthMs: 5, size: 16, body, envelope: ENVELOPE } as const;
      const without = encode({ ...message, fingerprint: undefined });
      const having = encode({ ...message, fingerprint: FINGERPRINT });
      assert.equal(having.length, without.length + 16);
      assert.deepEqual(having.subarray(16, without.length), without.subarray(16));
      const fingerprints = [without, having].map((bytes) => {
        const [record] = decode(bytes);
        return record?.type === 'accept' ? record.fingerprint : record;
      });
      assert.deepEqual(fingerprints, [undefined, FINGERPRINT]);
    }
  });

  it('have what a sender asked behind the place of the fingerprint, which may be empty', () => {
    const [local] = ENVELOPE.recipients;
    const orcpt = `rfc822;${'o'.repeat(40)}`;
    const envelopes: Envelope[] = [
      { ...ENVELOPE, dsn: { ret: 'full' } },
      { ...ENVELOPE, dsn: { ret: 'hdrs', envid: 'x' } },
      { ...ENVELOPE, dsn: {}, recipients: [local!, { ...local!, dsn: { notify: 0 } }] },
      { ...ENVELOPE, dsn: {}, recipients: [{ ...local!, dsn: { notify: 7, orcpt } }, local!] },
    ];
    for (const envelope of envelopes) {
      for (const fingerprint of [undefined, FINGERPRINT]) {
        const message = { type: 'accept', id: 3, birthMs: 5, size: 16, body: undefined, envelope } as const;
        const [record] = decode(encode({ ...message, fingerprint }));
        assert.ok(record?.type === 'accept');
        assert.deepEqual([record.dsn, record.fingerprint], [envelope.dsn, fingerprint]);
        const asked = (recipients: readonly Recipient[]) => recipients.map(({ dsn }) => dsn);
        assert.deepEqual(asked(record.recipients), asked(envelope.recipients));
      }
    }
  });

  it('keep what was seen in segments that are gone', () => {
    for (const count of [0, 1, 100]) {
      const seen = Array.from({ length: count }, (_, i) => ({
        fingerprint: FINGERPRINT.slice(0, -3) + String(i).padStart(3, '0'),
        id: 2 ** 40 + i,
        atMs: 1e12 + i,
      }));
      const record = { type: 'seen', seen } as const;
      assert.deepEqual(decode(Buffer.concat([encode(record), encode(record)])), [record, record]);
    }
  });
});
