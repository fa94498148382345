// A hub among hosts that misbehave: they drop the connection before they say what became of a message, or say one byte a
// minute, at each stage. Others get their mail meanwhile, and the accounts hold after all of it and after a kill.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { test } from 'node:test';
import { agree, type Reply, ScriptedServer } from '../delivery/smtp-server.ts';
import { HubProcess, makeHome, readMailbox, removeHome } from '../support/hub-process.ts';
import { Ledger } from '../support/ledger.ts';

const STAGES = ['greeting', 'MAIL', 'RCPT', 'DATA', 'message', 'dot'] as const;
const MINUTE_MS = 60_000;
const LARGE = 12 << 20;

/** A host that says one byte a minute from a stage on, or, at `message`, reads nothing any more. */
class DrippingServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(stage: (typeof STAGES)[number]) {
    const agreed = agree();
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      let rest = '';
      let inMessage = false;
      const say = (reply: string | null, isSlow: boolean) => {
        if (reply === null) socket.end();
        else if (isSlow) this.#drip(socket, reply);
        else socket.write(reply);
      };
      socket.setEncoding('latin1').on('data', (text: string) => {
        rest += text;
        for (let end = rest.indexOf('\r\n'); end >= 0; end = rest.indexOf('\r\n')) {
          const line = rest.slice(0, end + 2);
          rest = rest.slice(end + 2);
          if (inMessage && line !== '.\r\n') continue;
          const verb = inMessage ? 'dot' : line.slice(0, 4);
          inMessage = line === 'DATA\r\n';
          if (inMessage && stage === 'message') socket.pause();
          say(agreed(line), verb === stage);
        }
        if (inMessage) rest = rest.slice(-5);
      });
      say(agreed(undefined), stage === 'greeting');
    });
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #drip(socket: Socket, reply: string): void {
    let at = 0;
    const next = () => socket.destroyed || socket.write(reply.charAt(at++));
    next();
    this.#timers.add(setInterval(next, MINUTE_MS));
  }
}

test('a host that drops the connection before its 250 gets each message twice at most, and the trace says so', async () => {
  // Each message is dropped the first time that it comes.
  const seen = new Set<string>();
  const agreed = agree();
  const reply: Reply = (input) => {
    const name = /^X-For: (\S+)/m.exec(input ?? '')?.[1];
    if (name === undefined || seen.has(name)) return agreed(input);
    seen.add(name);
    return null;
  };
  const server = await ScriptedServer.start(reply);
  const home = makeHome({ smtproutes: `:127.0.0.1:${server.port}\n` });
  const hub = await HubProcess.start(home);
  try {
    const ledger = new Ledger(home);
    const recipients = Array.from({ length: 12 }, (_, i) => `u${i}@drop${i % 3}.example`);
    for (const recipient of recipients) await ledger.submit(hub.port, recipient);
    await hub.untilLogged(/^delivery\.deferral .*unknown="may arrive twice"/m, recipients.length);
    assert.deepEqual(ledger.check(server.messages).queued.length, recipients.length);
    process.kill(hub.pid, 'SIGALRM');
    await hub.untilLogged(/^delivery\.success /m, recipients.length);
    const balance = ledger.check(server.messages);
    assert.deepEqual(balance.queued, []);
    // Nobody can know which of the two outcomes was the true one; each was marked, and none comes a third time.
    assert.deepEqual([...balance.twice].sort(), recipients.sort());
    assert.equal(server.messages.length, 2 * recipients.length);
    assert.equal(await hub.end(), 0);
  } finally {
    await hub.end('SIGKILL');
    await server.close();
    removeHome(home);
  }
});

test('hosts that say one byte a minute, at any stage, hold up nobody else, and lose nothing', async (t) => {
  const live = await ScriptedServer.start(agree());
  const slow = STAGES.map((stage) => new DrippingServer(stage));
  const ports = await Promise.all(slow.map((server) => server.listen()));
  const routes = STAGES.map((stage, i) => `${stage.toLowerCase()}.example:127.0.0.1:${ports[i]}\n`).join('');
  const home = makeHome({ smtproutes: `${routes}:127.0.0.1:${live.port}\n` });
  const hub = await HubProcess.start(home);
  const ledger = new Ledger(home);
  try {
    for (const stage of STAGES) {
      const padding = stage === 'message' ? LARGE : 100;
      for (let i = 0; i < 8; i++)
        await ledger.submit(hub.port, `u${i}@${stage.toLowerCase()}.example`, i < 2 ? padding : 0);
    }
    for (let i = 0; i < 5; i++) {
      const startMs = performance.now();
      await ledger.submit(hub.port, `fresh${i}@live${i}.example`);
      await hub.untilLogged(new RegExp(`^delivery\\.success .*fresh${i}@`, 'm'));
      const ms = Math.round(performance.now() - startMs);
      t.diagnostic(`fresh message after ${ms} ms`);
      assert.ok(ms < 5000, `${ms} ms`);
    }
    const { delivered, queued } = ledger.check(live.messages);
    assert.deepEqual([delivered.length, queued.length], [5, 8 * STAGES.length]);
  } finally {
    await hub.end('SIGKILL');
    for (const server of slow) server.close();
  }
  // The hosts are well again.
  writeFileSync(`${home}/control/smtproutes`, `:127.0.0.1:${live.port}\n`);
  const again = await HubProcess.start(home);
  try {
    process.kill(again.pid, 'SIGALRM');
    await again.untilLogged(/^delivery\.success /m, 8 * STAGES.length);
    const { queued, twice } = ledger.check(live.messages);
    assert.deepEqual({ queued, twice }, { queued: [], twice: [] });
    assert.equal(await again.end(), 0);
    assert.deepEqual(readMailbox(home, 'hub.example', 'sender'), []);
  } finally {
    await again.end('SIGKILL');
    await live.close();
    removeHome(home);
  }
});
