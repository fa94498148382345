import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { buildCdb, CdbWriter, findInCdb } from './cdb.ts';

function build(...records: [string, string][]): Uint8Array {
  return buildCdb(records.map(([key, data]) => ({ key: bytesOf(key), data: bytesOf(data) })))!;
}

function find(cdb: Uint8Array, key: string): string | undefined {
  const read = (at: number, length: number) =>
    at + length <= cdb.length ? cdb.subarray(at, at + length) : undefined;
  const data = findInCdb(read, bytesOf(key));
  return data === undefined || data === 'corrupt' ? data : textOf(data);
}

test('buildCdb() of nothing is a header whose tables are all empty and where they would be', () => {
  const cdb = Buffer.from(build());
  assert.equal(cdb.length, 2048);
  for (let at = 0; at < 2048; at += 8)
    assert.deepEqual([cdb.readUInt32LE(at), cdb.readUInt32LE(at + 4)], [2048, 0]);
});

test('buildCdb() puts records behind the header and the tables behind them', () => {
  const cdb = Buffer.from(build(['1.2.3.4', 'D\0']));
  assert.equal(cdb.length, 2081);
  assert.equal(cdb.toString('latin1', 2048, 2065), '\x07\0\0\0\x02\0\0\x001.2.3.4D\0');
  const slots = [2065, 2073].map((at) => cdb.readUInt32LE(at + 4));
  assert.deepEqual(slots.sort(), [0, 2048]);
});

test('findInCdb() finds the first of equal keys, keys of any bytes, and nothing else', () => {
  const cdb = build(['a', '1'], ['a', '2'], ['', 'empty'], ['\0\xff', ''], ['b', 'x'.repeat(70_000)]);
  assert.equal(find(cdb, 'a'), '1');
  assert.equal(find(cdb, ''), 'empty');
  assert.equal(find(cdb, '\0\xff'), '');
  assert.equal(find(cdb, 'b')?.length, 70_000);
  assert.equal(find(cdb, 'A'), undefined);
});

test('findInCdb() says corrupt where the file ends too early, and only there', () => {
  const cdb = build(['key', 'data']);
  for (let length = 0; length < cdb.length; length++) {
    const found = find(cdb.subarray(0, length), 'key');
    const slot = Buffer.from(cdb).readUInt32LE(cdb.length - 4) === 2048 ? 16 : 8;
    assert.equal(found, length < cdb.length - 16 + slot ? 'corrupt' : 'data', `${length} of ${cdb.length}`);
  }
});

test('findInCdb() says corrupt where a record claims more than the file has', () => {
  for (const at of [2048, 2052]) {
    const cdb = build(['key', 'data']);
    cdb[at + 3] = 255;
    assert.equal(find(cdb, 'key'), at === 2048 ? undefined : 'corrupt');
  }
});

test('findInCdb() looks at each slot once where none is free and all have the hash', () => {
  const cdb = Buffer.from(build(['key', 'data']));
  const slots = 1000;
  const table = Buffer.alloc(8 * slots);
  const at = cdb.readUInt32LE(cdb.length - 4) === 2048 ? cdb.length - 8 : cdb.length - 16;
  for (let slot = 0; slot < slots; slot++) cdb.copy(table, 8 * slot, at, at + 8);
  for (let i = 0; i < 256; i++) {
    cdb.writeUInt32LE(cdb.length, 8 * i);
    cdb.writeUInt32LE(slots, 8 * i + 4);
  }
  const whole = Buffer.concat([cdb, table]);
  whole.write('KEY', 2056);
  let reads = 0;
  const read = (from: number, length: number) => {
    reads++;
    return whole.subarray(from, from + length);
  };
  assert.equal(findInCdb(read, bytesOf('key')), undefined);
  assert.equal(reads, 1 + 3 * slots);
});

test('CdbWriter refuses what would end behind 4 GB, before it takes memory for it', () => {
  const writer = new CdbWriter();
  const long = { length: 2 ** 32 - 2048 - 8 } as Uint8Array;
  assert.equal(writer.add(bytesOf('a'), long), false);
  assert.equal(writer.waiting, 0);
});

test('CdbWriter gives the bytes of buildCdb() in pieces', () => {
  const writer = new CdbWriter();
  const records = Array.from({ length: 1000 }, (_, i): [string, string] => [`k${i % 700}`, `${i}`]);
  const pieces = records.map(([key, data]) => {
    assert.equal(writer.add(bytesOf(key), bytesOf(data)), true);
    return writer.takeOutput();
  });
  const end = writer.finish()!;
  assert.deepEqual(Buffer.concat([end.header, ...pieces, end.tables]), Buffer.from(build(...records)));
});
