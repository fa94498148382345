// An operator at the command line, with a hub that runs and with one that is down; and the tally of recipients over a kill.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { callHub } from '../../src/hub/admin-socket.ts';
import type { QueuedMessageJson } from '../../src/hub/queued-message-json.ts';
import type { Tally } from '../../src/queue/queue.ts';
import { HubProcess, makeHome, readMailbox, removeHome, submit } from '../support/hub-process.ts';
import { miniQmail } from '../support/mini-qmail.ts';

const CONTROL = {
  concurrencyremote: '0\n',
  recipients: 'ok@hub.example\nann@hub.example\n',
};
const MESSAGE = 'Subject: x\n\nbody\n';

async function ask(home: string, path: string): Promise<string> {
  let text = '';
  const onBytes = (bytes: Uint8Array) => {
    text += Buffer.from(bytes).toString();
  };
  assert.equal(await callHub(home, { path, onBytes }), 200);
  return text;
}

async function listQueue(home: string): Promise<QueuedMessageJson[]> {
  const lines = (await ask(home, '/queue')).split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line));
}

async function readTally(home: string): Promise<Tally> {
  return JSON.parse(await ask(home, '/stats')).recipients;
}

/** Waits until nothing local is left to do. @returns how many messages wait for a remote recipient */
async function untilLocalDone(home: string): Promise<number> {
  for (;;) {
    const messages = await listQueue(home);
    const isLeft = ({ channel, state }: QueuedMessageJson['recipients'][number]) =>
      channel === 'local' && state === 'todo';
    if (!messages.some(({ recipients }) => recipients.some(isLeft))) return messages.length;
  }
}

function balance({ atStart, accepted, delivered, failed, removed, queued }: Tally): number {
  return atStart + accepted - delivered - failed - removed - queued;
}

async function send(port: number, sender: string, ...to: string[]): Promise<string> {
  const reply = await submit(port, MESSAGE, sender, ...to);
  return /^Kok \d+ qp (\d+)$/.exec(reply)?.[1] ?? assert.fail(reply);
}

describe('mini-qmail queue', () => {
  let home: string;
  let hub: HubProcess;
  before(async () => {
    home = makeHome(CONTROL);
    hub = await HubProcess.start(home);
  });
  after(async () => {
    await hub.end('SIGKILL');
    removeHome(home);
  });
  const queue = (command: string, ...args: string[]) => miniQmail('queue', command, '--home', home, ...args);

  it('show and cat give envelope and bytes of one message, and no control character to a terminal', async () => {
    const id = await send(hub.port, 'ev\x1b[31mil\n@b.example', 'ok@hub.example', 'far@remote.example');
    await hub.untilLogged(new RegExp(`delivery\\.success id=${id} `));
    const { stdout } = await queue('show', id);
    assert.match(stdout, /<ev\?\[31mil\?@b\.example>\n {2}local\tok@hub\.example\tdone\n {2}remote\tfar@/);
    const json = JSON.parse((await queue('show', id, '--json')).stdout);
    assert.deepEqual(
      [json.id, json.sender, json.recipients.length],
      [Number(id), 'ev\x1b[31mil\n@b.example', 2],
    );
    assert.ok((await queue('cat', id)).stdout.endsWith(MESSAGE));
    const missing = await queue('cat', '999999');
    assert.equal(missing.status, 111);
    assert.match(missing.stderr, /Cannot find message 999999 in the queue/);
  });

  it('hold survives a kill of the hub, and release ends it', async () => {
    const id = await send(hub.port, 'hold@b.example', 'far@remote.example');
    const held = await queue('hold', '--sender', 'hold@b.example');
    assert.match(held.stdout, /^#\d+ {2}<hold@b\.example> {2}1 left {2}held\n1 held\n$/);
    await hub.end('SIGKILL');
    hub = await HubProcess.start(home);
    assert.match((await queue('show', id)).stdout, /next never: held\n/);
    assert.match((await queue('release', '--id', id)).stdout, /1 released\n$/);
    assert.match((await queue('show', id)).stdout, /next \d{4}-/);
  });

  it('rm removes what is selected, says what was delivered before, and sends nothing', async () => {
    const id = await send(hub.port, 'ann@hub.example', 'ok@hub.example', 'far@rm.example');
    await hub.untilLogged(new RegExp(`delivery\\.success id=${id} `));
    const dry = await queue('rm', '--recipient', '@rm.example', '--dry-run');
    assert.match(dry.stdout, /selected.*; delivered before to ok@hub\.example\n1 selected\n$/);
    const removed = await queue('rm', '--recipient', '@rm.example');
    assert.match(removed.stdout, /removed; delivered before to ok@hub\.example\n1 removed\n$/);
    assert.equal((await queue('show', id)).status, 111);
    assert.equal(readMailbox(home, 'hub.example', 'ann').length, 0);
  });

  it('bounce tells the sender about everybody who is left', async () => {
    const id = await send(hub.port, 'ann@hub.example', 'far@one.example', 'far@two.example');
    assert.match((await queue('bounce', id, '--json')).stdout, /\n\{"summary":\{"done":1,/);
    await hub.untilLogged(/delivery\.success .*recipient=ann@hub\.example/);
    const [notice] = readMailbox(home, 'hub.example', 'ann');
    assert.match(
      notice!,
      /<far@one\.example>:\nThe administrator of this mail server has given up[\s\S]*<far@two\./,
    );
  });

  it('an order without a selection, or one that cannot be understood, is refused', async () => {
    for (const words of [['rm'], ['rm', '--id', 'x'], ['rm', '--older', '-1'], ['rm', '--sendr', 'a']]) {
      const { status, stderr } = await miniQmail('queue', ...words, '--home', home);
      assert.equal(status, 100, stderr);
    }
  });

  it('works without a hub too, which sends the bounce when it starts', async () => {
    const id = await send(hub.port, 'ok@hub.example', 'far@down.example');
    await hub.end();
    const before = readMailbox(home, 'hub.example', 'ok').length;
    assert.match((await queue('hold', '--all')).stdout, /\d+ held\n$/);
    assert.match((await queue('show', id)).stdout, /held\n/);
    assert.ok((await queue('cat', id)).stdout.endsWith(MESSAGE));
    assert.match((await queue('bounce', id)).stdout, /1 returned to its sender\n$/);
    assert.match((await queue('stats')).stdout, /recipients unaccounted for: 0\n$/);
    const told = (await miniQmail('why', '--home', home, id)).stdout;
    assert.match(
      told,
      /operator: hold, done\n.*failed for good for <far@down\.example>.*\n.*operator: bounce, done\n/,
    );
    assert.match(told, /in the queue: its notice is on its way\n$/);
    hub = await HubProcess.start(home);
    await hub.untilLogged(/delivery\.success .*recipient=ok@hub\.example/);
    assert.equal(readMailbox(home, 'hub.example', 'ok').length, before + 1);
  });
});

it('every recipient is accounted for, through kills in the middle of a mixed run', async () => {
  const home = makeHome(CONTROL);
  let hub = await HubProcess.start(home);
  try {
    const acknowledged: string[] = [];
    for (let life = 0; life < 3; life++) {
      let isDown = false;
      const clients = Array.from({ length: 10 }, async () => {
        while (!isDown) {
          const to = ['ok@hub.example', 'nobody@hub.example', 'far@remote.example'];
          const reply = await submit(hub.port, MESSAGE, 'ann@hub.example', ...to);
          if (reply.startsWith('K')) acknowledged.push(reply);
          if (acknowledged.length >= 60 * (life + 1)) isDown = true;
        }
      });
      await Promise.race(clients);
      assert.equal(balance(await readTally(home)), 0);
      await hub.end('SIGKILL');
      await Promise.all(clients);
      hub = await HubProcess.start(home);
      assert.equal(balance(await readTally(home)), 0);
    }
    const stored = await untilLocalDone(home);
    assert.ok(stored >= acknowledged.length, `${stored} of ${acknowledged.length} are there`);
    const { stdout } = await miniQmail('queue', 'rm', '--home', home, '--recipient', '@remote.example');
    assert.match(stdout, new RegExp(`\\n${stored} removed\\n$`));
    const tally = await readTally(home);
    assert.equal(balance(tally), 0);
    assert.equal(tally.removed, stored);
    assert.equal(readMailbox(home, 'hub.example', 'ok').length, stored);
    assert.equal(readMailbox(home, 'hub.example', 'nobody').length, 0);
  } finally {
    await hub.end('SIGKILL');
    removeHome(home);
  }
});
