import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, concatBytes, textOf } from '../bytes/bytes.ts';
import { LOGIN_RECORD_BYTES, terminalsOf } from './login-records.ts';

function record(kind: number, line: string, user: string, bytes = 384): Uint8Array {
  const whole = new Uint8Array(bytes);
  whole[0] = kind;
  whole.set(bytesOf(line), 8);
  whole.set(bytesOf(user), 44);
  return whole;
}

test('terminalsOf() finds all terminals of a user who is logged in, and of nobody else', () => {
  for (const bytes of Object.values(LOGIN_RECORD_BYTES)) {
    const records = concatBytes([
      record(2, '~', 'reboot', bytes),
      record(7, 'pts/0', 'joe', bytes),
      record(8, 'pts/1', 'joe', bytes),
      record(7, 'pts/2', 'joey', bytes),
      record(7, 'a'.repeat(32), 'joe', bytes),
      record(7, 'pts/9', 'joe', bytes).subarray(0, bytes - 1),
    ]);
    assert.deepEqual(terminalsOf(records, bytes, bytesOf('joe')).map(textOf), ['pts/0', 'a'.repeat(32)]);
  }
});
