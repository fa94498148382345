// kill -9 of a hub under load, again and again: nothing acknowledged may be lost, nothing may arrive in part,
// and nothing may be stored twice: a delivery whose verdict was lost is recognised by its file name, and a message that its
// client was not told about, for a kill between commit and reply, when the client sends it again to the next hub.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { askForQueue } from '../../src/hub/admin-socket.ts';
import { HubProcess, makeHome, qmqpRequest, readMailbox, removeHome } from '../support/hub-process.ts';
import { seededRandom } from '../support/simulated-disk.ts';

const KILLS = Number(process.env['MINI_QMAIL_KILLS'] ?? 25);
const SEED = Number(process.env['MINI_QMAIL_SEED'] ?? Math.floor(Math.random() * 1e9));
const CLIENTS = 20;
const ACKS_BEFORE_KILL_MAX = 150;

/** A message that is on its way: sent, and not acknowledged so far. */
interface Sending {
  readonly name: string;
  readonly request: Buffer;
}

/** Clients that send message after message until their connections fail, and what was under way again to the next hub. */
class Load {
  readonly acknowledged: Set<string>;
  readonly #random: () => number;
  #serial = 0;
  #inDoubt: Sending[] = [];
  sent = 0;

  constructor(acknowledged: Set<string>, random: () => number) {
    this.acknowledged = acknowledged;
    this.#random = random;
  }

  /** Runs clients against the port; calls back after each acknowledgement; resolves when every client has failed. */
  async run(port: number, round: number, onAck: () => void): Promise<void> {
    await Promise.all(
      Array.from({ length: CLIENTS }, async () => {
        for (;;) {
          const sending = this.#inDoubt.pop() ?? this.#create(`${round}-${this.#serial++}`);
          if (!(await this.#sendOne(port, sending))) return;
          onAck();
        }
      }),
    );
  }

  /** Sends what is still in doubt. @returns how many there were */
  async sendAgain(port: number): Promise<number> {
    const again = this.#inDoubt.splice(0);
    await Promise.all(again.map((sending) => this.#sendOne(port, sending)));
    return again.length;
  }

  #create(name: string): Sending {
    // One in eight is large enough for a file of its own.
    const size = this.#random() < 0.125 ? 40_000 : 20 + Math.floor(this.#random() * 3000);
    this.sent++;
    return {
      name,
      request: qmqpRequest(messageOf(name, size), 'load@sender.example', ['box@hub.example']),
    };
  }

  async #sendOne(port: number, sending: Sending): Promise<boolean> {
    const isAcknowledged = await submits(port, sending.request);
    if (isAcknowledged) this.acknowledged.add(sending.name);
    else this.#inDoubt.push(sending);
    return isAcknowledged;
  }
}

function submits(port: number, request: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    let reply = '';
    socket.setEncoding('latin1').on('data', (text: string) => {
      reply += text;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(/^\d+:Kok /.test(reply) && reply.endsWith(',')));
    socket.write(request);
  });
}

function messageOf(name: string, size: number): string {
  return `X-Name: ${name}\nX-Size: ${size}\nMessage-ID: <${name}@load>\n\n${'m'.repeat(size)}\nend of ${name}\n`;
}

/** The name of a stored message; fails unless all of it is there. */
function nameOfWhole(stored: string): string {
  const match = /\nX-Name: (\S+)\nX-Size: (\d+)\n/.exec(stored);
  assert.ok(match, `a stored message has no name: ${stored.slice(0, 200)}`);
  const [, name, size] = match;
  assert.ok(stored.endsWith(messageOf(name!, Number(size))), `message ${name} is there in part`);
  return name!;
}

async function isEmpty(home: string): Promise<boolean> {
  let text = '';
  assert.ok(await askForQueue(home, (more) => (text += more)), 'the hub answers');
  return text === '';
}

describe('a hub that is killed under load', () => {
  it(`loses nothing acknowledged and stores nothing half or twice in ${KILLS} kills`, async (t) => {
    t.diagnostic(`seed ${SEED}`);
    const random = seededRandom(SEED);
    const home = makeHome();
    const acknowledged = new Set<string>();
    const load = new Load(acknowledged, random);
    let recognised = 0;
    try {
      for (let round = 0; round < KILLS; round++) {
        const hub = await HubProcess.start(home);
        let left = Math.floor(random() * ACKS_BEFORE_KILL_MAX);
        let ended: Promise<unknown> | undefined;
        const kill = () => {
          ended ??= hub.end('SIGKILL');
        };
        if (left === 0) kill();
        await load.run(hub.port, round, () => --left <= 0 && kill());
        await ended;
        recognised += resubmissionsOf(hub);
      }
      const hub = await HubProcess.start(home);
      assert.ok((await load.sendAgain(hub.port)) > 0, 'the last kill left something in doubt');
      while (!(await isEmpty(home))) await hub.untilLogged(/delivery/);
      await hub.end();
      t.diagnostic(`${recognised + resubmissionsOf(hub)} submitted again and recognised`);
      report(t, home, acknowledged, load.sent);
    } finally {
      removeHome(home);
    }
  });
});

const resubmissionsOf = (hub: HubProcess) => hub.log.text.split('qmqp.resubmission').length - 1;

function report(
  t: { diagnostic(text: string): void },
  home: string,
  acknowledged: ReadonlySet<string>,
  sent: number,
): void {
  const copies = new Map<string, number>();
  for (const stored of readMailbox(home, 'hub.example', 'box')) {
    const name = nameOfWhole(stored);
    copies.set(name, (copies.get(name) ?? 0) + 1);
  }
  const lost = [...acknowledged].filter((name) => !copies.has(name));
  const duplicates = [...copies.values()].filter((count) => count > 1).length;
  t.diagnostic(
    `${sent} sent, ${acknowledged.size} acknowledged, ${copies.size} stored, ${lost.length} lost; ` +
      `${duplicates} stored twice`,
  );
  assert.deepEqual(lost, []);
  assert.equal(acknowledged.size, sent, 'what was in doubt was acknowledged in the end');
  assert.ok(acknowledged.size > KILLS * 10, `the load was real: ${acknowledged.size} acknowledged`);
  assert.equal(duplicates, 0);
}
