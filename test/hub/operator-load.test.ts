// An operator at a hub that is being pushed as hard as a test can: orders and listings come to their end, over everything that was
// there and nothing that came later, and mail is acknowledged all the time. MINI_QMAIL_LOAD is how many messages are queued first.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { callHub } from '../../src/hub/admin-socket.ts';
import { HubProcess, makeHome, removeHome, submit } from '../support/hub-process.ts';

const QUEUED = Number(process.env['MINI_QMAIL_LOAD'] ?? 2500);
const CLIENTS = 20;

describe('an operator under load', () => {
  let home: string;
  let hub: HubProcess;
  let acknowledged = 0;
  /** How many messages each client still has to send. */
  const push = (sender: string, isOver: () => boolean) =>
    Promise.all(
      Array.from({ length: CLIENTS }, async () => {
        while (!isOver()) {
          assert.match(await submit(hub.port, 'Subject: x\n\n', sender, 'far@remote.example'), /^Kok/);
          acknowledged++;
        }
      }),
    );
  before(async () => {
    home = makeHome({ concurrencyremote: '0\n' });
    hub = await HubProcess.start(home, '/dev/null');
    await push('first@b.example', () => acknowledged > QUEUED - CLIENTS);
  });
  after(async () => {
    await hub.end('SIGKILL');
    removeHome(home);
  });

  /** The lines that a question or an order gives, while clients push; and how many messages were acknowledged meanwhile. */
  const underLoad = async (path: string, order?: object) => {
    let isOver = false;
    const pushing = push('later@b.example', () => isOver);
    const began = acknowledged;
    const startMs = performance.now();
    let text = '';
    const onBytes = (bytes: Uint8Array) => {
      text += Buffer.from(bytes).toString('latin1');
    };
    const body = order && JSON.stringify(order);
    assert.equal(await callHub(home, { path, ...(body !== undefined && { body }), onBytes }), 200);
    const during = acknowledged - began;
    isOver = true;
    await pushing;
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    return { lines, during, ms: Math.round(performance.now() - startMs) };
  };

  it('lists, holds, releases and purges all that was there while mail comes in', async (t) => {
    const queued = acknowledged;
    const listed = await underLoad('/queue');
    assert.ok(listed.lines.length >= queued);
    const first = { sender: 'first@b.example' };
    for (const action of ['hold', 'release', 'rm']) {
      const { lines, during, ms } = await underLoad('/orders', { action, selection: first });
      assert.equal(lines.at(-1).summary.done, queued, action);
      assert.ok(during > 0, `nothing was acknowledged during ${action}`);
      t.diagnostic(`${action} of ${queued}: ${ms} ms, ${during} acknowledged meanwhile`);
    }
    const { lines, ms } = await underLoad('/stats');
    t.diagnostic(`stats: ${ms} ms`);
    const [{ recipients, gauges, counters }] = lines;
    assert.equal(recipients.atStart + recipients.accepted - recipients.removed - recipients.queued, 0);
    assert.equal(recipients.removed, queued);
    assert.deepEqual([gauges.held, counters.refusedTemporary], [0, 0]);
  });
});
