import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alternateFamilies, resolveHost } from './resolve-host.ts';

test('alternateFamilies() takes the families in turns, beginning with that of the first address', () => {
  for (const [given, want] of [
    ['::1 ::2 1.1.1.1 2.2.2.2', '::1 1.1.1.1 ::2 2.2.2.2'],
    ['1.1.1.1 2.2.2.2 3.3.3.3 ::1', '1.1.1.1 ::1 2.2.2.2 3.3.3.3'],
    ['::1 ::2', '::1 ::2'],
    ['1.1.1.1 ::1', '1.1.1.1 ::1'],
  ] as const)
    assert.deepEqual(alternateFamilies(given.split(' ')), want.split(' '));
  assert.deepEqual(alternateFamilies([]), []);
});

test('resolveHost() knows the hosts file, and has a code for what it cannot find', async () => {
  assert.ok((await resolveHost('localhost')).includes('127.0.0.1'));
  await assert.rejects(resolveHost('no-such-host.invalid'), { code: /^E[A-Z_]+$/ });
});
