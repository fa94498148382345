import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lookUpHost } from './host-names.ts';

test('lookUpHost() gives the addresses of a name, or says that there are none or why not', async () => {
  const found = await lookUpHost('localhost');
  assert.ok(typeof found === 'object' && 'addresses' in found);
  assert.ok(found.addresses.includes('127.0.0.1') || found.addresses.includes('::1'));
  const nowhere = await lookUpHost('nowhere.invalid');
  assert.ok(nowhere === 'none' || 'failed' in nowhere);
  // Not an option of the process that looks it up.
  const odd = await lookUpHost('--version');
  assert.ok(odd === 'none' || 'failed' in odd);
});
