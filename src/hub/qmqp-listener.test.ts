// The listener on real sockets, with a queue of the test's making and time that stands still.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { textOf } from '../core/bytes/bytes.ts';
import { formatSpillReport } from '../core/format/spill-report.ts';
import { createLineLog } from '../host/log.ts';
import { ManualClock } from '../host/manual-clock.ts';
import type { Envelope, Intake } from '../queue/queue.ts';
import { QmqpListener, type QmqpListenerOptions } from './qmqp-listener.ts';

/** A queue that shows what it got and answers when it is told to. */
class TestQueue {
  readonly messages: { text: string; envelope: string[] }[] = [];
  aborted = 0;
  /** What a commit waits for. */
  answer: Promise<number> = Promise.resolve(7);
  onCommit: () => void = () => undefined;
  onBegin: () => void = () => undefined;
  onWrite: () => void = () => undefined;
  /** What the queue was told of each message that it should recognise. */
  readonly fingerprints: string[] = [];
  isResubmission = false;
  /** What a write of the message's own bytes waits for. */
  written: Promise<void> | undefined;

  begin(): Intake {
    this.onBegin();
    const parts: string[] = [];
    const intake: Intake = {
      write: (bytes) => {
        parts.push(textOf(bytes));
        this.onWrite();
        return parts.length > 1 ? this.written : undefined;
      },
      commit: ({ sender, recipients }: Envelope) => {
        const envelope = [sender, ...recipients.map(({ address }) => address)].map(textOf);
        this.messages.push({ text: parts.join(''), envelope });
        this.onCommit();
        return this.answer;
      },
      commitOnce: async (envelope, fingerprint) => {
        this.fingerprints.push(fingerprint);
        return { id: await intake.commit(envelope), isResubmission: this.isResubmission };
      },
      abort: () => {
        this.aborted++;
      },
    };
    return intake;
  }
}

let queue: TestQueue;
let clock: ManualClock;
let logText: string;
let listener: QmqpListener;
let port: number;

async function listen(options: Partial<QmqpListenerOptions> = {}): Promise<void> {
  listener = createListener(options);
  ({ port } = await listener.listen({ host: '127.0.0.1', port: 0 }));
}

function createListener(options: Partial<QmqpListenerOptions>): QmqpListener {
  return new QmqpListener({
    queue,
    classify: (address) => ({ channel: 'local', address }),
    judge: () => ({ allow: true }),
    me: 'hub.example',
    limits: { messageSizeMax: 1000, recipientCountMax: 3, addressBytesMax: 2000 },
    connectionCountMax: 10,
    idleMs: 300_000,
    clock,
    log: createLineLog((line) => {
      logText += line;
    }),
    ...options,
  });
}

beforeEach(() => {
  queue = new TestQueue();
  clock = new ManualClock();
  logText = '';
});
afterEach(async () => {
  const closed = listener.close(0);
  clock.advance(0);
  await closed;
});

/** Resolves when that many requests have begun to arrive from now on. */
function untilBegun(count = 1): Promise<void> {
  let left = count;
  return new Promise((resolve) => {
    queue.onBegin = () => {
      if (--left === 0) resolve();
    };
  });
}

/** A client that gathers what it is sent. */
class Client {
  readonly socket: Socket;
  readonly closed: Promise<unknown>;
  received = '';

  constructor(place: { path: string } | { host: string; port: number } = { host: '127.0.0.1', port }) {
    this.socket = connect(place);
    this.socket.setEncoding('latin1').on('data', (text: string) => {
      this.received += text;
    });
    this.socket.on('error', () => undefined);
    this.closed = once(this.socket, 'close');
  }

  async exchange(text: string): Promise<string> {
    this.socket.write(latin1(text));
    await this.closed;
    return this.received;
  }
}

const latin1 = (text: string) => Buffer.from(text, 'latin1');
const netstring = (text: string) => `${text.length}:${text},`;
const request = (message: string, ...addresses: string[]) =>
  netstring([message, ...addresses].map(netstring).join(''));
const REPORT = textOf(formatSpillReport({ messages: 50, oldest: 7200 }));
const REQUEST = request('Subject: x\n\nb\xff\0\n', 'a@b.example', 'c@d.example', 'e@f.example');
const TRACE =
  /^Received: from unknown \(127\.0\.0\.1\)\n {2}by hub\.example with QMQP; 9 Sep 2001 01:46:40 -0000\n/;

test('a message goes to the queue with its envelope and a Received field; the reply has time and number', async () => {
  await listen();
  const reply = await new Client().exchange(REQUEST);
  assert.equal(reply, netstring('Kok 1000000000 qp 7'));
  const [message] = queue.messages;
  assert.deepEqual(message?.envelope, ['a@b.example', 'c@d.example', 'e@f.example']);
  assert.match(message.text, TRACE);
  assert.equal(message.text.replace(TRACE, ''), 'Subject: x\n\nb\xff\0\n');
  const facts = `id=7 ip=127.0.0.1 sender=a@b.example recipients=2 bytes=${message.text.length}`;
  assert.equal(logText, `accepted ${facts}\n`);
});

test('a program of this host puts the Received field on top itself, and is believed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'listener-'));
  const path = join(folder, 'socket');
  listener = createListener({ isLocal: true });
  await listener.listenOnFile(path);
  try {
    assert.equal(statSync(path).mode & 0o666, 0o666);
    const traces: [string, string][] = [
      ['Received: (qmail 47 invoked by uid 10); 9 Sep 2001 01:46:40 -0000\n', ' uid=10 pid=47'],
      ['', ''],
    ];
    for (const [trace, facts] of traces) {
      logText = '';
      const text = request(`${trace}x`, 'a@b.example', 'c@d.example');
      // Cut in the field: what is known of it must not depend on how it comes.
      const client = new Client({ path });
      client.socket.write(latin1(text.slice(0, 20)), () => client.socket.end(latin1(text.slice(20))));
      await client.closed;
      assert.equal(client.received, netstring('Kok 1000000000 qp 7'));
      assert.equal(queue.messages.at(-1)?.text, `${trace}x`);
      const size = trace.length + 1;
      const rest = `sender=a@b.example recipients=1 bytes=${size}`;
      assert.equal(logText.replace(/ (?:uid|pid)=\d+/g, ''), `accepted id=7 ip=local ${rest}\n`);
      assert.deepEqual(
        logText.match(/ (?:uid|pid)=\d+/g)?.sort() ?? [],
        facts.split(/(?= )/).filter(Boolean).sort(),
      );
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a message with Message-ID has a fingerprint, however it comes; a resubmission is acknowledged and logged', async () => {
  await listen();
  const text = request('Message-ID: <o@a>\n\nb\n', 'a@b', 'c@d');
  await new Client().exchange(text);
  queue.isResubmission = true;
  clock.advance(5000);
  logText = '';
  const client = new Client();
  const begun = untilBegun();
  client.socket.write(latin1(text.slice(0, 30)));
  await begun;
  assert.equal(await client.exchange(`${text.slice(30)}, and more`), netstring('Kok 1000000005 qp 7'));
  const [first, ...others] = queue.fingerprints;
  assert.deepEqual(others, [first]);
  assert.match(
    logText,
    /^qmqp\.resubmission id=7 ip=127\.0\.0\.1 sender=a@b recipients=1 bytes=\d+ messageId=<o@a>\n$/,
  );
});

test("equal messages without Message-ID are the queue's to take, each", async () => {
  await listen();
  for (let i = 0; i < 2; i++) assert.match(await new Client().exchange(REQUEST), /:Kok /);
  assert.equal(queue.messages.length, 2);
  assert.deepEqual(queue.fingerprints, []);
});

test('nothing is answered before the queue has committed', async () => {
  await listen();
  let commit: (id: number) => void = () => undefined;
  queue.answer = new Promise((resolve) => {
    commit = resolve;
  });
  const begun = new Promise<void>((resolve) => {
    queue.onCommit = resolve;
  });
  const client = new Client();
  const reply = client.exchange(REQUEST);
  await begun;
  // A whole exchange of another client: whatever was written before has arrived by then.
  const other = new Client();
  other.socket.end('x');
  await other.closed;
  assert.equal(client.received, '');
  commit(8);
  assert.match(await reply, /:Kok \d+ qp 8,$/);
});

test('a commit that fails is a temporary refusal, and its reason is in the log only', async () => {
  await listen();
  queue.answer = Promise.reject(new Error('no space'));
  queue.answer.catch(() => undefined);
  assert.equal(await new Client().exchange(REQUEST), netstring('Zqq write error or disk full (#4.3.0)'));
  assert.match(
    logText,
    /^queue\.trouble ip=127\.0\.0\.1 sender=a@b\.example reason="Error: no space"\nrefused .*reply="Zqq/,
  );
});

test('what is over a limit is refused for good and nothing of it is committed', async () => {
  await listen();
  const rows: [string, RegExp][] = [
    [request('x'.repeat(1001), 'a@b', 'c@d'), /:D.*size limit \(#5\.3\.4\),$/],
    [request('x', 'a@b', 'c@d', 'c@e', 'c@f', 'c@g'), /:D.*too many recipients \(#5\.5\.3\),$/],
    [request('x', 'a'.repeat(999), 'b'.repeat(999), 'c@d'), /:D.*too many recipients \(#5\.5\.3\),$/],
    [request('x', 'a@b', 'c'.repeat(1000)), /:D.*addresses like that \(#5\.1\.3\),$/],
  ];
  for (const [text, want] of rows) assert.match(await new Client().exchange(text), want);
  assert.deepEqual(queue.messages, []);
  // The one over the size limit never began.
  assert.equal(queue.aborted, 3);
});

test('a request that is broken or cut off gets no answer, is aborted and logged', async () => {
  await listen();
  for (const text of [REQUEST.slice(0, -1), REQUEST.slice(0, 20), `${REQUEST.slice(0, -1)};`, 'HELO x\r\n']) {
    const client = new Client();
    client.socket.end(latin1(text));
    await client.closed;
    assert.equal(client.received, '');
  }
  assert.deepEqual(queue.messages, []);
  assert.equal(queue.aborted, 3);
  assert.deepEqual(
    [...logText.matchAll(/^qmqp\.lost ip=127\.0\.0\.1 reason="(\S+) while .*"$/gm)].map(
      ([, reason]) => reason,
    ),
    ['early-end', 'early-end', 'missing-comma', 'bad-length'],
  );
});

test('a client that resets its connection leaves nothing behind', async () => {
  await listen();
  const begun = untilBegun();
  const client = new Client();
  client.socket.write(latin1(REQUEST.slice(0, 20)));
  await begun;
  client.socket.resetAndDestroy();
  await client.closed;
  await listener.close(60_000);
  assert.deepEqual([queue.messages.length, queue.aborted], [0, 1]);
});

test('a host that may not connect is sent away before it is read, and logged', async () => {
  const reason = 'not in control/qmqpclients';
  await listen({
    judge: (address) => (address === '127.0.0.1' ? { allow: false, reason } : { allow: true }),
  });
  assert.equal(await new Client().exchange(REQUEST), '');
  assert.deepEqual(queue.messages, []);
  assert.equal(logText, 'qmqp.refused ip=127.0.0.1 reason="not in control/qmqpclients"\n');
});

test('a client whose rule says so has another size of messages', async () => {
  const [short, long] = [request('x'.repeat(20), 'a', 'b'), request('x'.repeat(2000), 'a', 'b')];
  for (const [databytes, wants] of [
    [19, ['D', 'D']],
    [20, ['K', 'D']],
    [0, ['K', 'K']],
    [undefined, ['K', 'D']],
  ] as const) {
    await listen({ judge: () => ({ allow: true, databytes }) });
    const replies = [await new Client().exchange(short), await new Client().exchange(long)];
    assert.deepEqual(
      replies.map((reply) => reply.slice(reply.indexOf(':') + 1)[0]),
      wants,
    );
    await listener.close(0);
  }
});

test('while the queue writes the client has to wait, and nothing is lost or out of order', async () => {
  await listen({ limits: {} });
  const releases: (() => void)[] = [];
  Object.defineProperty(queue, 'written', {
    get: () =>
      new Promise<void>((resolve) => {
        releases.push(resolve);
        setImmediate(resolve);
      }),
  });
  const body = Array.from({ length: 100_000 }, (_, i) => `line ${i}\n`).join('');
  assert.match(await new Client().exchange(request(body, 'a@b', 'c@d')), /:Kok /);
  assert.equal(queue.messages[0]?.text.replace(TRACE, ''), body);
  assert.ok(releases.length > 1);
});

test('a client that falls silent is sent away, one that keeps sending is not until an hour is over', async () => {
  await listen();
  const silent = new Client();
  const slow = new Client();
  const text = request('x'.repeat(50), 'a@b', 'c@d');
  const bothBegun = untilBegun(2);
  for (const { socket } of [silent, slow]) socket.write(text.slice(0, 10));
  await bothBegun;
  clock.advance(299_000);
  assert.equal(logText, '');
  const sendOne = async () => {
    const heard = new Promise<void>((resolve) => {
      queue.onWrite = resolve;
    });
    slow.socket.write('x');
    await heard;
  };
  await sendOne();
  clock.advance(20_000);
  await silent.closed;
  for (let passed = 319; passed < 3600; passed += 299) {
    assert.equal(logText.split('qmqp.lost').length, 2, `${passed} s`);
    await sendOne();
    clock.advance(Math.min(299, 3609 - passed) * 1000);
  }
  await sendOne();
  clock.advance(2000);
  await slow.closed;
  assert.equal(logText.split('reason="timeout while reading the message"').length, 3);
});

test('close() lets a request that has begun end, and sends away clients that have sent nothing', async () => {
  await listen();
  const idle = new Client();
  await once(idle.socket, 'connect');
  const busy = new Client();
  const begun = untilBegun();
  busy.socket.write(latin1(REQUEST.slice(0, 30)));
  await begun;
  const closing = listener.close(60_000);
  await idle.closed;
  assert.equal(idle.received, '');
  assert.match(await busy.exchange(REQUEST.slice(30)), /:Kok /);
  await closing;
  assert.doesNotMatch(logText, /qmqp\.lost/);
});

test('close() ends what is not over in time', async () => {
  await listen();
  const client = new Client();
  const begun = untilBegun();
  client.socket.write(latin1(REQUEST.slice(0, 30)));
  await begun;
  const closing = listener.close(5000);
  clock.advance(5000);
  await Promise.all([closing, client.closed]);
  assert.match(logText, /^qmqp\.lost .*reason="hub is stopping while reading an address"\n$/);
  assert.equal(client.received, '');
  assert.equal(queue.aborted, 1);
});

test('listen() fails when the address is taken', async () => {
  await listen();
  const taken = port;
  const second = new QmqpListener({
    queue,
    classify: (address) => ({ channel: 'local', address }),
    judge: () => ({ allow: true }),
    me: 'x',
    limits: {},
    connectionCountMax: 1,
    idleMs: 1,
    clock,
    log: createLineLog(() => undefined),
  });
  await assert.rejects(second.listen({ host: '127.0.0.1', port: taken }), { code: 'EADDRINUSE' });
});

test('takes down what waits on a client, and queues nothing of it', async () => {
  await listen();
  const reply = await new Client().exchange(request(REPORT, ''));
  assert.equal(reply, netstring('Kok 1000000000 noted'));
  assert.equal(logText, 'client.spill ip=127.0.0.1 messages=50 oldest=7200\n');
  assert.deepEqual([queue.messages, queue.aborted], [[], 1]);
});

test('takes for mail what has recipients or is no report, however short', async () => {
  await listen();
  for (const text of [request(REPORT, '', 'c@d'), request(REPORT.replace('50', '+50'), ''), request('', '')])
    assert.equal(await new Client().exchange(text), netstring('Kok 1000000000 qp 7'));
  assert.equal(queue.messages.length, 3);
});
