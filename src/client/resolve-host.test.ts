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

test('resolveHost() limits the resolver, unless the user has', async () => {
  for (const [given, want] of [
    [undefined, 'timeout:2 attempts:2'],
    ['timeout:9', 'timeout:9'],
  ] as const) {
    delete process.env['RES_OPTIONS'];
    if (given !== undefined) process.env['RES_OPTIONS'] = given;
    await resolveHost('localhost');
    assert.equal(process.env['RES_OPTIONS'], want);
  }
});
