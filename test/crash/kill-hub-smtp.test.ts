// kill -9 of a hub while clients push by SMTP, message after message in long sessions: nothing acknowledged with 250 may be
// lost, and nothing may be there in part. What was under way is not sent again, so nothing may be there twice either.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { askForQueue } from '../../src/hub/admin-socket.ts';
import { HubProcess, makeHome, readMailbox, removeHome } from '../support/hub-process.ts';
import { seededRandom } from '../support/simulated-disk.ts';

const KILLS = Number(process.env['MINI_QMAIL_KILLS'] ?? 6);
const SEED = Number(process.env['MINI_QMAIL_SEED'] ?? Math.floor(Math.random() * 1e9));
const CLIENTS = 20;
const ACKS_BEFORE_KILL_MAX = 200;

/** What the clients send, and what they were told. */
interface Book {
  readonly sent: Map<string, string>;
  readonly acknowledged: Set<string>;
}

/** Sends in one session until it breaks, each transaction in one write; resolves then. */
function push(
  port: number,
  nextMessage: () => [name: string, body: string],
  onAck: (name: string) => void,
): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port });
  let text = '';
  let waiting = 1;
  let name = '';
  const send = () => {
    const [next, body] = nextMessage();
    name = next;
    const lines = ['MAIL FROM:<load@sender.example>', 'RCPT TO:<box@hub.example>', 'DATA'];
    socket.write(`${lines.join('\r\n')}\r\n${body.replaceAll('\n', '\r\n')}.\r\n`, 'latin1');
    waiting = 4;
  };
  socket.setEncoding('latin1').on('data', (more: string) => {
    text += more;
    for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
      const reply = text.slice(0, end);
      text = text.slice(end + 2);
      if (--waiting > 0) continue;
      if (/^250 ok \d+ qp \d+$/.test(reply)) onAck(name);
      else assert.match(reply, /^220 /);
      send();
    }
  });
  socket.on('error', () => undefined);
  return new Promise((resolve) => socket.on('close', () => resolve()));
}

function messageOf(name: string, size: number): string {
  return `X-Name: ${name}\nMessage-ID: <${name}@load>\n\n${`${'m'.repeat(60)}\n`.repeat(Math.ceil(size / 61))}end of ${name}\n`;
}

/** Runs clients until the hub is killed after that many acknowledgements. */
async function runAndKill(home: string, round: number, acks: number, random: () => number, book: Book) {
  const hub = await HubProcess.start(home, undefined, 0, ['--smtp', '127.0.0.1:0']);
  let left = acks;
  let ended: Promise<unknown> | undefined;
  let serial = 0;
  const nextMessage = (): [string, string] => {
    const name = `${round}-${serial++}`;
    // One in eight is large enough for a file of its own.
    const body = messageOf(name, random() < 0.125 ? 40_000 : 20 + Math.floor(random() * 3000));
    book.sent.set(name, body);
    return [name, body];
  };
  const onAck = (name: string) => {
    book.acknowledged.add(name);
    if (--left <= 0) ended ??= hub.end('SIGKILL');
  };
  await Promise.all(Array.from({ length: CLIENTS }, () => push(hub.smtpPort, nextMessage, onAck)));
  await ended;
}

async function isEmpty(home: string): Promise<boolean> {
  let text = '';
  assert.ok(await askForQueue(home, (more) => (text += more)), 'the hub answers');
  return text === '';
}

describe('a hub that is killed while it takes SMTP', () => {
  it(`loses nothing acknowledged and stores nothing half or twice in ${KILLS} kills`, async (t) => {
    t.diagnostic(`seed ${SEED}`);
    const random = seededRandom(SEED);
    const home = makeHome();
    const book: Book = { sent: new Map(), acknowledged: new Set() };
    try {
      for (let round = 0; round < KILLS; round++)
        await runAndKill(home, round, 1 + Math.floor(random() * ACKS_BEFORE_KILL_MAX), random, book);
      const hub = await HubProcess.start(home);
      while (!(await isEmpty(home))) await hub.untilLogged(/delivery/);
      await hub.end();
      const stored = new Set<string>();
      for (const message of readMailbox(home, 'hub.example', 'box')) {
        const name = /\nX-Name: (\S+)\n/.exec(message)?.[1] ?? '';
        assert.ok(!stored.has(name), `message ${name} is there twice`);
        stored.add(name);
        const body = book.sent.get(name);
        assert.ok(body !== undefined && message.endsWith(`\n${body}`), `message ${name} is there in part`);
      }
      const { sent, acknowledged } = book;
      t.diagnostic(`${sent.size} sent, ${acknowledged.size} acknowledged, ${stored.size} stored`);
      assert.deepEqual(
        [...acknowledged].filter((name) => !stored.has(name)),
        [],
      );
      assert.ok(acknowledged.size > KILLS * 10, `the load was real: ${acknowledged.size} acknowledged`);
    } finally {
      removeHome(home);
    }
  });
});
