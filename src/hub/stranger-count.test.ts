// Strangers counted by address and by IPv6 network.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StrangerCount } from './stranger-count.ts';

test('each network has its share, and all together have theirs', () => {
  const count = new StrangerCount({ totalMax: 4, perNetworkMax: 2 });
  assert.deepEqual(
    ['192.0.2.1', '192.0.2.1', '192.0.2.1', '192.0.2.2'].map((ip) => count.take(ip)),
    [true, true, false, true],
  );
  // The same network of 64 bits, with a zone or not.
  assert.deepEqual(
    ['2001:db8::1', '2001:db8::ffff:2%eth0', '192.0.2.3'].map((ip) => count.take(ip)),
    [true, false, false],
  );
  count.give('192.0.2.1');
  assert.deepEqual([count.take('2001:db8:0:0:1::9'), count.take('192.0.2.1')], [true, false]);
});
