// Connections to the hub that are cut after each byte of the exchange, in both directions, and a client that sends again
// until it is told K: each message arrives once.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { linesArrived } from '../support/arrived.ts';
import { type Cut, everyCut, nameOfCut, startCuttingProxy } from '../support/cutting-proxy.ts';
import { exchange, HubProcess, makeHome, qmqpRequest, removeHome, submit } from '../support/hub-process.ts';

const TO = 'box@hub.example';
let home: string;
let hub: HubProcess;
beforeEach(async () => {
  home = makeHome();
  hub = await HubProcess.start(home);
});
afterEach(async () => {
  await hub.end('SIGKILL');
  removeHome(home);
});

const messageOf = (name: string) => `Message-ID: <${name}@x>\n\n${name}\n`;
const requestOf = (name: string) => qmqpRequest(messageOf(name), 'a@b.example', [TO]);
const isAcknowledged = (reply: string) => /^\d+:Kok [^,]*,$/.test(reply);
const resubmissions = () => hub.log.text.split('qmqp.resubmission').length - 1;

/** Sends the bytes through a proxy that cuts. @returns what came back */
async function exchangeThrough(cut: Cut, request: Buffer): Promise<string> {
  const proxy = await startCuttingProxy(hub.port, cut);
  try {
    return await exchange(proxy.port, request);
  } finally {
    proxy.close();
  }
}

test('a connection that is cut after any byte, either way, costs no message and makes none double', async () => {
  const names: string[] = [];
  for (const cut of everyCut(requestOf('request-000-reset').length)) {
    const name = nameOfCut(cut);
    names.push(name);
    const request = requestOf(name);
    let reply = await exchangeThrough(cut, request);
    assert.ok(!isAcknowledged(reply) || cut.direction === 'reply', `${name}: the cut came too late`);
    while (!isAcknowledged(reply)) reply = await exchange(hub.port, request);
  }
  assert.deepEqual((await linesArrived(home)).sort(), names.sort());
  // After whole requests; a reset may overtake what was sent before it.
  assert.ok(resubmissions() >= 20, `${resubmissions()} were recognised`);
});

test('a message is recognised after it was delivered, by the next hub too; another copy is not', async () => {
  const reply = await submit(hub.port, messageOf('one'), 'a@b.example', TO);
  assert.match(reply, /^Kok \d+ qp 1$/);
  await hub.untilLogged(/delivery\.success/);
  for (let i = 0; i < 2; i++) {
    assert.match(await submit(hub.port, messageOf('one'), 'a@b.example', TO), /^Kok \d+ qp 1$/);
    await hub.untilLogged(/qmqp\.resubmission id=1 ip=127\.0\.0\.1 sender=a@b\.example recipients=1/);
    await hub.end(i === 0 ? 'SIGTERM' : 'SIGKILL');
    hub = await HubProcess.start(home);
  }
  const others = [
    await submit(hub.port, messageOf('one'), 'other@b.example', TO),
    await submit(hub.port, messageOf('one'), 'a@b.example', TO, TO),
    await submit(hub.port, `${messageOf('one')}\n`, 'a@b.example', TO),
    await submit(hub.port, 'Subject: no id\n\nx\n', 'a@b.example', TO),
    await submit(hub.port, 'Subject: no id\n\nx\n', 'a@b.example', TO),
  ];
  const ids = others.map((text) => /^Kok \d+ qp (\d+)$/.exec(text)?.[1]);
  assert.equal(new Set([...ids, '1']).size, 6, ids.join(' '));
  assert.equal((await linesArrived(home)).length, 1 + 6);
});

test('nothing is recognised with a window of 0', async () => {
  await hub.end();
  removeHome(home);
  home = makeHome({ resubmissionwindow: '0\n' });
  hub = await HubProcess.start(home);
  for (const id of [1, 2])
    assert.match(await submit(hub.port, messageOf('one'), 'a@b.example', TO), new RegExp(` qp ${id}$`));
  assert.deepEqual(await linesArrived(home), ['one', 'one']);
});
