// The queue program of a host with a hub, as mailers start it: with a running hub, without one, and with one that goes away.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { askForQueue } from '../../src/hub/admin-socket.ts';
import { ROOT } from '../support/client-vectors.ts';
import { HubProcess, makeHome, readMailbox, removeHome } from '../support/hub-process.ts';

const PROGRAM = join(ROOT, 'bin/hub-queue');
const MESSAGE = 'From: a@b.example\nSubject: x\n\nfirst\r\n.\n\0\xff no newline';
const TRACE = /^Received: \(qmail \d+ invoked by uid \d+\); \d+ \w{3} \d{4} [\d:]{8} -0000\n/;
const NOBODY = 65_534;

interface Run {
  readonly home: string;
  readonly message?: string | Buffer;
  readonly envelope?: string;
  readonly user?: number;
}

const ENVELOPE = 'Fa@b.example\0Tjoe@hub.example\0\0';

/** The program with files as descriptors 0 and 1. */
function start({ home, message = MESSAGE, envelope = ENVELOPE, user }: Run): ChildProcess {
  const files = [message, envelope].map((content, i) => {
    const path = join(home, `input-${i}`);
    writeFileSync(path, content, 'latin1');
    const file = openSync(path, 'r');
    // The next run makes another file of that name.
    rmSync(path);
    return file;
  });
  const child = spawn(PROGRAM, [], {
    env: { QMAILHOME: home },
    stdio: [files[0]!, files[1]!, 'inherit'],
    ...(user !== undefined && { uid: user, gid: user }),
  });
  for (const file of files) closeSync(file);
  return child;
}

async function run(options: Run): Promise<number | string | null> {
  const [code, signal] = await once(start(options), 'exit');
  return signal ?? code;
}

interface Queued {
  readonly sender: string;
  readonly bytes: number;
  readonly recipients: readonly { readonly address: string }[];
}

function queued(home: string): Queued[] {
  const words = ['queue', 'ls', '--json', '--home', home];
  const { stdout } = spawnSync(join(ROOT, 'bin/mini-qmail'), words, { encoding: 'utf8', maxBuffer: 1 << 26 });
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

/** A home whose queue exists, and where nothing is delivered. */
function makeHomeWithQueue(control: Readonly<Record<string, string>> = {}): string {
  const home = makeHome({ concurrencylocal: '0\n', concurrencyremote: '0\n', ...control });
  mkdirSync(join(home, 'queue'));
  return home;
}

describe('hub-queue with a running hub', () => {
  let home: string;
  let hub: HubProcess;
  before(async () => {
    home = makeHome({ concurrencyremote: '0\n', databytes: '30000000\n' });
    chmodSync(home, 0o755);
    hub = await HubProcess.start(home);
  });
  after(async () => {
    await hub.end('SIGKILL');
    removeHome(home);
  });

  it('hands the message over unchanged, with its own Received field and no other', async () => {
    assert.equal(await run({ home }), 0);
    await hub.untilLogged(/delivery\.success .*joe@hub\.example/);
    const [stored = ''] = readMailbox(home, 'hub.example', 'joe');
    const message = stored.slice(stored.indexOf('Received:'));
    assert.match(message, TRACE);
    assert.equal(message.replace(TRACE, ''), MESSAGE);
    const uid = process.getuid?.();
    assert.match(
      hub.log.text,
      new RegExp(`accepted id=\\d+ ip=local pid=\\d+ uid=${uid} sender=a@b\\.example`),
    );
  });

  it('takes mail from any user', { skip: process.getuid?.() === 0 ? false : 'needs root' }, async () => {
    assert.equal(await run({ home, user: NOBODY, envelope: 'Fnobody@x\0Tlater@remote.example\0\0' }), 0);
    assert.match(hub.log.text, new RegExp(`accepted .* uid=${NOBODY} sender=nobody@x`));
    assert.equal(statSync(join(home, 'run/hub.sock')).mode & 0o777, 0o600);
  });

  it('hands over 20 MB, and 10,000 recipients', async () => {
    const count = 10_000;
    const to = Array.from({ length: count }, (_, i) => `Tr${i}@remote.example\0`).join('');
    assert.equal(await run({ home, message: Buffer.alloc(20 << 20, 'x'), envelope: `Fbig@x\0${to}\0` }), 0);
    const message = queued(home).find(({ sender }) => sender === 'big@x');
    assert.equal(message?.recipients.length, count);
    assert.ok(message.bytes > 20 << 20);
  });

  it('passes on what the hub refuses', async () => {
    assert.equal(await run({ home, message: Buffer.alloc(30_000_001) }), 31);
  });
});

describe('hub-queue without a hub', () => {
  let home: string;
  beforeEach(() => {
    home = makeHomeWithQueue();
  });
  afterEach(() => removeHome(home));

  it('queues the message itself, and the hub finds it', async () => {
    const other = 'F\0Tx@remote.example\0Ty@remote.example\0\0';
    assert.deepEqual([await run({ home }), await run({ home, envelope: other })], [0, 0]);
    const addresses = queued(home).map(({ recipients }) => recipients.map(({ address }) => address));
    assert.deepEqual(addresses, [['joe@hub.example'], ['x@remote.example', 'y@remote.example']]);
    writeFileSync(join(home, 'control/concurrencylocal'), '10\n');
    const hub = await HubProcess.start(home);
    try {
      await hub.untilLogged(/delivery\.success .*joe@hub\.example/);
      const [stored = ''] = readMailbox(home, 'hub.example', 'joe');
      assert.equal(stored.slice(stored.indexOf('Received:')).replace(TRACE, ''), MESSAGE);
    } finally {
      await hub.end('SIGKILL');
    }
  });

  it('queues many messages at once, each once', async () => {
    const senders = Array.from({ length: 5 }, (_, i) => `s${i}@x`);
    const exits = await Promise.all(
      senders.map((sender) => run({ home, envelope: `F${sender}\0Tr@remote.example\0\0` })),
    );
    assert.deepEqual(exits, [0, 0, 0, 0, 0]);
    assert.deepEqual(
      queued(home)
        .map(({ sender }) => sender)
        .sort(),
      senders,
    );
  });

  it('ends with the codes of qmail-queue, and queues nothing, when there is something wrong', async () => {
    const rows: [string, number][] = [
      ['', 54],
      ['Fa@b', 54],
      ['Fa@b\0Tc@d\0', 54],
      ['Ta@b\0\0', 91],
      ['Fa@b\0Xc@d\0\0', 91],
      [`F${'a'.repeat(1000)}\0\0`, 11],
      [`Fa@b\0T${'a'.repeat(2000)}`, 11],
    ];
    for (const [envelope, exit] of rows)
      assert.equal(await run({ home, envelope }), exit, JSON.stringify(envelope.slice(0, 20)));
    assert.deepEqual(queued(home), []);
    const closed = spawnSync('/bin/sh', ['-c', `exec ${PROGRAM} <&- 1</dev/null`], {
      env: { QMAILHOME: home },
    });
    assert.equal(closed.status, 54);
    writeFileSync(join(home, 'control/databytes'), '10\n');
    assert.equal(await run({ home }), 31);
  });

  it('is temporary without a home, without a queue, and with control files that cannot be read', async () => {
    const env = (QMAILHOME: string) => ({ env: { QMAILHOME } });
    assert.equal(spawnSync(PROGRAM, env(join(home, 'none'))).status, 61);
    mkdirSync(join(home, 'control/virtualdomains'));
    assert.equal(await run({ home }), 55);
    const broken = makeHome();
    writeFileSync(join(broken, 'queue'), '');
    assert.equal(await run({ home: broken }), 62);
    removeHome(broken);
  });

  it('goes by qmqpservers where there is no queue', async () => {
    const client = makeHome();
    assert.equal(await run({ home: client }), 55);
    const hub = await HubProcess.start(home);
    try {
      writeFileSync(join(client, 'control/qmqpservers'), `qmqp://127.0.0.1:${hub.port}\n`);
      assert.equal(await run({ home: client }), 0);
      assert.match(hub.log.text, /accepted id=\d+ ip=127\.0\.0\.1 sender=a@b\.example/);
    } finally {
      await hub.end('SIGKILL');
      removeHome(client);
    }
  });

  it('queues nothing when it is killed before the envelope is complete', async () => {
    // What Node calls the child's standard output is a socket pair, which the program reads its envelope from.
    const child = spawn(PROGRAM, [], { env: { QMAILHOME: home }, stdio: ['pipe', 'pipe', 'inherit'] });
    (child.stdout as unknown as Writable).write('Fa@b.example\0Tjoe@hub.example\0');
    // What the killed program has not read makes the kernel reset both.
    for (const stream of [child.stdin, child.stdout]) stream.on('error', () => {});
    const read = new Promise<void>((resolve) => child.stdin.end(Buffer.alloc(1 << 20), () => resolve()));
    await read;
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.deepEqual(queued(home), []);
  });

  it('leaves a queue that belongs to another user to that user', {
    skip: process.getuid?.() === 0 ? false : 'needs root',
  }, async () => {
    chmodSync(home, 0o755);
    chownSync(join(home, 'queue'), NOBODY, NOBODY);
    assert.equal(await run({ home }), 0);
    const names = readdirSync(join(home, 'queue'), { recursive: true, encoding: 'utf8' });
    assert.ok(names.length > 1);
    for (const name of names) assert.equal(statSync(join(home, 'queue', name)).uid, NOBODY, name);
  });
});

describe('hub-queue with a hub that goes away', () => {
  let home: string;
  beforeEach(() => {
    home = makeHomeWithQueue();
    mkdirSync(join(home, 'run'));
  });
  afterEach(() => removeHome(home));

  /** Somebody in the hub's place; `onData` gets each piece that comes. */
  async function fakeHub(onData: (socket: Socket, received: number) => void): Promise<() => void> {
    const server = createServer((socket) => {
      let received = 0;
      socket.on('data', (bytes) => {
        received += bytes.length;
        onData(socket, received);
      });
      socket.on('error', () => undefined);
    });
    server.listen(join(home, 'run/queue.sock'));
    await once(server, 'listening');
    return () => server.close();
  }

  it('in the middle of the message: queues it itself', async () => {
    const close = await fakeHub((socket) => {
      socket.destroy();
      close();
    });
    assert.equal(await run({ home, message: Buffer.alloc(5 << 20, 'x') }), 0);
    assert.equal(queued(home).length, 1);
  });

  it('after the message and before the answer: says that nobody knows, and queues nothing', async () => {
    const size = 1 << 20;
    const close = await fakeHub((socket, received) => {
      if (received > size + 100) socket.destroy();
    });
    assert.equal(await run({ home, message: Buffer.alloc(size, 'x') }), 74);
    close();
    assert.deepEqual(queued(home), []);
  });

  it('by kill -9 and comes back, in the middle of many: what was said to be queued arrives, once', async () => {
    writeFileSync(join(home, 'control/concurrencylocal'), '10\n');
    const hub = await HubProcess.start(home);
    const names = Array.from({ length: 8 }, (_, i) => `r${i}`);
    const exits = names.map((name) => run({ home, envelope: `Fa@b\0T${name}@hub.example\0\0` }));
    await hub.untilLogged(/^accepted /m);
    await hub.end('SIGKILL');
    const again = await HubProcess.start(home);
    try {
      for (const [i, exit] of (await Promise.all(exits)).entries()) {
        // 74: the hub was killed before it could answer; then nobody knows.
        assert.ok(exit === 0 || exit === 74, `${exit}`);
        if (exit === 0) await untilInMailbox(names[i]!);
      }
      await untilEmpty();
      for (const name of names) assert.ok(readMailbox(home, 'hub.example', name).length <= 1, name);
    } finally {
      await again.end('SIGKILL');
    }
  });

  /** Resolves when the hub has delivered to that mailbox. */
  async function untilInMailbox(name: string): Promise<void> {
    while (readMailbox(home, 'hub.example', name).length === 0) assert.ok(await ask(), 'a hub runs');
  }

  async function untilEmpty(): Promise<void> {
    while ((await ask()) !== '\n');
  }

  /** What is queued, and a line end if a hub says so. */
  async function ask(): Promise<string> {
    let text = '';
    const isThere = await askForQueue(home, (piece) => {
      text += piece;
    });
    return isThere ? `${text}\n` : '';
  }

  it('and left its socket behind: queues it itself', async () => {
    symlinkSync('nothing', join(home, 'run/queue.sock'));
    assert.equal(await run({ home }), 0);
    assert.equal(queued(home).length, 1);
  });
});
