import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../core/bytes/bytes.ts';
import { Entry } from './entry.ts';
import { decodeRecord, encodeRecord, recordSize } from './journal-record.ts';
import { destinationByDomain } from './queue.ts';

function entryFor(...addresses: string[]): Entry {
  const recipients = addresses.map((address) => ({ address: bytesOf(address), channel: 'remote' }) as const);
  const origin = { id: 1, birthMs: 10, size: 0, sender: bytesOf(''), recipients, segment: 1, bodyAt: 0 };
  return new Entry(origin, destinationByDomain);
}

const settlement = {
  type: 'settle',
  id: 1,
  segment: 1,
  channel: 'remote',
  nextDueMs: 99,
  verdicts: [],
} as const;

test('a record of a time without destinations is about the whole channel', () => {
  const entry = entryFor('a@one', 'b@two');
  entry.apply({ ...settlement, again: [] });
  assert.deepEqual(
    entry.parts.map(({ dueMs }) => dueMs),
    [99, 99],
  );
});

test('a record that names a recipient is about its destination, read back from its bytes', () => {
  const record = { ...settlement, verdicts: [{ index: 2, state: 'done' }], again: [1] } as const;
  const buffer = Buffer.alloc(recordSize(record));
  encodeRecord(record, 7, buffer, 0);
  const decoded = decodeRecord(buffer, 0, 7);
  assert.deepEqual(decoded?.record, record);
  assert.equal(decoded?.end, buffer.length);
  const entry = entryFor('a@one', 'b@two', 'c@two');
  entry.apply(record);
  assert.deepEqual(
    entry.parts.map(({ dueMs, left }) => [dueMs, left]),
    [
      [10, 1],
      [99, 1],
    ],
  );
});

test('a message of 100,000 recipients is parted in one go', () => {
  const entry = entryFor(...Array.from({ length: 100_000 }, (_, i) => `u${i}@d${i % 30_000}`));
  assert.equal(entry.parts.length, 30_000);
  const part = entry.part('remote', 'd7')!;
  assert.deepEqual(part.positions, [7, 30_007, 60_007, 90_007]);
  assert.equal(entry.firstLeft(part, [{ index: 7, state: 'done' }]), 30_007);
  assert.equal(entry.job(part).recipients.length, 4);
});
