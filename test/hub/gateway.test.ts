// A gateway in front of a hub: what it has acknowledged is in the hub exactly once whatever becomes of the hub, and one
// message stays one message on its way through.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, test } from 'node:test';
import { agree, ScriptedServer } from '../delivery/smtp-server.ts';
import { ROOT } from '../support/client-vectors.ts';
import { type Gateway, startGateway } from '../support/gateway.ts';
import { HubProcess, makeHome, readMailbox, removeHome } from '../support/hub-process.ts';
import { SmtpClient } from '../support/smtp-client.ts';

const CONNECTIONS = 50;
const MESSAGES = Number(process.env['MINI_QMAIL_GATEWAY_MESSAGES'] ?? 1500);

/** A hub that keeps what it gets until it is told to deliver, and that can be stopped and started on its port. */
class RestartingHub {
  readonly home: string;
  readonly port: number;
  #hub: HubProcess;
  /** Resolves when the hub runs. */
  running: Promise<void> = Promise.resolve();

  private constructor(home: string, hub: HubProcess) {
    this.home = home;
    this.#hub = hub;
    this.port = hub.port;
  }

  static async start(): Promise<RestartingHub> {
    const home = makeHome({ locals: 'hub.example\n', concurrencylocal: '0\n' });
    return new RestartingHub(home, await HubProcess.start(home));
  }

  /** Ends the hub, and starts it again when somebody has noticed. */
  restart(signal: NodeJS.Signals, noticed: Promise<unknown>): Promise<void> {
    const restarted = (async () => {
      await this.#hub.end(signal);
      await noticed;
      this.#hub = await HubProcess.start(this.home, undefined, this.port);
    })();
    this.running = restarted;
    return restarted;
  }

  /** Lets the hub deliver everything; what is in the mailbox then. */
  async deliver(local: string): Promise<string[]> {
    assert.equal(await this.#hub.end(), 0);
    const words = ['queue', 'ls', '--home', this.home, '--json'];
    const queued = spawnSync(join(ROOT, 'bin/mini-qmail'), words, { encoding: 'latin1', maxBuffer: 1 << 28 });
    writeFileSync(join(this.home, 'control/concurrencylocal'), '10\n');
    this.#hub = await HubProcess.start(this.home);
    await this.#hub.untilLogged(/^delivery\.success /m, queued.stdout.split('\n').length - 1);
    assert.equal(await this.#hub.end(), 0);
    return readMailbox(this.home, 'hub.example', local);
  }

  async remove(): Promise<void> {
    await this.#hub.end('SIGKILL');
    removeHome(this.home);
  }
}

/** Replies to all messages so far, by number. */
class Replies {
  readonly list: string[] = [];
  #waiting: { count: number; pattern: RegExp; resolve: () => void }[] = [];

  add(number: number, reply: string): void {
    this.list[number] = reply;
    this.#waiting = this.#waiting.filter((waiting) => {
      if (!waiting.pattern.test(reply) || --waiting.count > 0) return true;
      waiting.resolve();
      return false;
    });
  }

  /** Resolves after so many replies of that kind from now on. */
  until(pattern: RegExp, count: number): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ count, pattern, resolve }));
  }
}

/** The number of a message, which stands in its body. */
function numberOf(message: string): number {
  return Number(/\n\nmessage (\d+)\n/.exec(message)?.[1]);
}

test(`${CONNECTIONS} connections with ${MESSAGES} messages, and a hub that is stopped and killed: 250 means once, all else 4xx`, {
  timeout: 300_000,
}, async (t) => {
  const hub = await RestartingHub.start();
  const gateway = await startGateway([hub.port]);
  const replies = new Replies();
  let sent = 0;
  let acknowledged = 0;
  const body = `${'filler '.repeat(10)}\n`.repeat(20);

  /** A new number after every reply, until enough are acknowledged; when the hub is gone it waits for the hub. */
  async function send(): Promise<void> {
    const client = await SmtpClient.connect(gateway.port);
    while (acknowledged < MESSAGES) {
      const number = sent++;
      const message = `Subject: ${number}\n\nmessage ${number}\n${body}`;
      const reply = await client.send('source@peer.example', 'sink@hub.example', message);
      assert.notEqual(reply, '', `the gateway has hung up: ${gateway.server.log()}`);
      if (reply.startsWith('250')) acknowledged++;
      replies.add(number, reply);
      if (!reply.startsWith('250')) await hub.running;
    }
    client.close();
  }

  try {
    const clients = Promise.all(Array.from({ length: CONNECTIONS }, send));
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      await replies.until(/^250/, MESSAGES / 4);
      await hub.restart(signal, replies.until(/^4/, 5));
    }
    await clients;
    const stored = (await hub.deliver('sink')).map(numberOf).sort((a, b) => a - b);
    const storedOnce = new Set(stored);
    assert.equal(storedOnce.size, stored.length, 'no message is there twice');
    let unknown = 0;
    for (const [number, reply] of replies.list.entries()) {
      assert.match(reply, /^(?:250 ok \d+ qp \d+|451 [^\n]* \(#4\.[34]\.\d\))$/);
      if (reply.startsWith('250')) assert.ok(storedOnce.has(number), `message ${number} is lost: ${reply}`);
      else if (storedOnce.has(number)) unknown++;
    }
    const refused = replies.list.filter((reply) => reply.startsWith('4'));
    assert.ok(refused.length >= 10);
    t.diagnostic(
      `${acknowledged} acknowledged, ${refused.length} refused for now, of which the hub had stored ${unknown} before it died`,
    );
    assert.deepEqual(readdirSync(gateway.home), ['control']);
  } finally {
    await gateway.stop();
    await hub.remove();
  }
});

const SMUGGLED =
  'MAIL FROM:<evil@peer.example>\r\nRCPT TO:<victim@far.example>\r\nDATA\r\nSubject: evil\r\n\r\nevil\r\n.\r\n';

/** What may look like the end of a message to somebody. */
const ENDINGS: readonly (readonly [name: string, bytes: string])[] = [
  ['LF.LF', '\n.\n'],
  ['LF.CRLF', '\n.\r\n'],
  ['CRLF.LF', '\r\n.\n'],
  ['CR.CR', '\r.\r'],
  ['CR.CRLF', '\r.\r\n'],
  ['CRLF.CR', '\r\n.\r'],
  ['CRLF.CRCRLF', '\r\n.\r\r\n'],
  ['CRLF.NULCRLF', '\r\n.\0\r\n'],
  ['CRLF.CRLF', '\r\n.\r\n'],
];

describe('one message stays one message through gateway and hub to the next hop', () => {
  let nextHop: ScriptedServer;
  let home: string;
  let hub: HubProcess;
  let gateway: Gateway;
  before(async () => {
    nextHop = await ScriptedServer.start(agree());
    home = makeHome({ smtproutes: `:127.0.0.1:${nextHop.port}\n` });
    hub = await HubProcess.start(home);
    gateway = await startGateway([hub.port]);
  });
  after(async () => {
    await gateway.stop();
    await hub.end('SIGKILL');
    await nextHop.close();
    removeHome(home);
  });

  for (const [name, ending] of ENDINGS) {
    it(`${name} in a message`, async () => {
      const before = nextHop.messages.length;
      const client = await SmtpClient.connect(gateway.port);
      for (const line of ['MAIL FROM:<good@peer.example>', 'RCPT TO:<ann@far.example>', 'DATA'])
        assert.match(await client.command(line), /^[23]/);
      client.write(`Subject: good\r\n\r\ngood${ending}${SMUGGLED}QUIT\r\n`);
      const replies = (await client.rest()).split('\r\n').filter((line) => line !== '');
      client.close();
      const taken = replies.filter((reply) => /^250 ok \d/.test(reply)).length;
      const isEnd = name === 'CRLF.CRLF';
      if (ending.includes('\n') && !isEnd && /(?<!\r)\n/.test(ending))
        assert.match(replies.join(), /^451 See/);
      else assert.equal(taken, isEnd ? 2 : 1);
      await hub.untilLogged(/^delivery\.success [^\n]*@far\.example/m, before + taken);
      const arrived = nextHop.messages.slice(before);
      assert.equal(arrived.length, taken);
      for (const message of arrived) {
        assert.equal(message.split('\r\n.\r\n').length, 2, JSON.stringify(message));
        // Whatever a lenient next hop takes for an end of line is one.
        assert.doesNotMatch(message.replaceAll('\r\n', ''), /[\r\n]/);
        if (!isEnd)
          assert.ok(
            message.indexOf('\r\nMAIL FROM:<evil') > message.indexOf('\r\nSubject: good\r\n\r\ngood'),
          );
      }
    });
  }
});
