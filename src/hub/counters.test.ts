// Counters follow the log: each event counts once, under its name, and refusals by what the client was told.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COUNTERS, Counters } from './counters.ts';

test('every counter is there at zero, and counts its own events alone', () => {
  const counters = new Counters();
  assert.deepEqual(Object.keys(counters.read()), [...COUNTERS]);
  assert.ok(Object.values(counters.read()).every((value) => value === 0));
  const passedOn: string[] = [];
  const log = counters.countIn({ write: (event) => void passedOn.push(event) });
  const events = ['accepted', 'delivery.success', 'delivery.success', 'delivery.start', 'delivery.deferral'];
  for (const event of events) log.write(event, { id: 1 });
  for (const reply of ['Zqq (#4.3.0)', 'Dno (#5.3.4)', '451 later', '554 no', '4.3.0'])
    log.write('refused', { reply });
  counters.add('backPressure');
  const { accepted, delivered, deferred, refusedTemporary, refusedPermanent, backPressure } = counters.read();
  assert.deepEqual(
    [accepted, delivered, deferred, refusedTemporary, refusedPermanent, backPressure],
    [1, 2, 1, 3, 2, 1],
  );
  assert.equal(passedOn.length, 10);
});
