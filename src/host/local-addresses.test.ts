import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { isLocalAddress } from './local-addresses.ts';

test('isLocalAddress() knows the addresses of the interfaces and 0.0.0.0, and no other', () => {
  const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  for (const { address, family } of own) {
    if (family === 'IPv4') assert.equal(isLocalAddress(address.split('.').map(Number)), true, address);
  }
  assert.equal(isLocalAddress([0, 0, 0, 0]), true);
  assert.equal(isLocalAddress([192, 0, 2, 255]), false);
});
