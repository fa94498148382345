// What does a message to 1,000 people cost on a modem line of 28.8 kbit/s with a round trip of 200 ms? The same 1.4 KB go up by
// QMQP, by QMQP compressed, by SMTP with and without pipelining (Postfix's client, msmtp), and as a copy for each recipient by SMTP.
// Time is from the client's first packet until the client has its answer, or by SMTP could have it. `--full` measures what is
// otherwise reckoned from fewer recipients and copies, which takes most of an hour; `--proxy` uses the line that
// needs no root.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesOf } from '../src/core/bytes/bytes.ts';
import { parseQueueEnvelope } from '../src/core/format/queue-envelope.ts';
import { encodeQmqpRequest } from '../src/core/protocol/qmqp/client-session.ts';
import { ROOT } from '../test/support/client-vectors.ts';
import { makeHome, removeHome } from '../test/support/hub-process.ts';
import { findPeer, freePort, missingPeers } from '../test/support/peers.ts';
import { missingPostfix, startPostfix } from '../test/support/postfix.ts';
import { SmtpClient } from '../test/support/smtp-client.ts';
import { printRatio, spreadOf } from './measure.ts';
import type { LineTraffic } from './support/link-meter.ts';
import { wireLimitSeconds } from './support/link-model.ts';
import { type ListMail, makeListMail, queueEnvelope } from './support/list-mail.ts';
import { pause } from './support/pause.ts';
import { Sink } from './support/sink.ts';
import { openSlowLink, type SlowLink } from './support/slow-link.ts';

const SPEED = { bitsPerSecond: 28_800, delayMs: 100 };
const ROUNDS = 3;
/** Time for the packets that end a connection. */
const SETTLE_MS = 1000;
const IS_FULL = process.argv.includes('--full');
/** Each waiting for the answer to the one before, recipients cost the same: two counts tell what 1,000 cost. */
const SINGLY = [10, 60] as const;
const COPIES = 20;
const COPY_EACH = 'SMTP, a copy each (Postfix)';

/** What one way to send cost. */
interface Cost {
  readonly seconds: number;
  readonly up: LineTraffic['up'];
  readonly down: LineTraffic['down'];
}

interface Row extends Cost {
  readonly name: string;
  /** How it came about, if it was not simply measured. */
  readonly note?: string;
}

const rows: Row[] = [];
const absent: string[] = [];
const closers: (() => unknown)[] = [];

/** What a way to send costs; `send` resolves when the client has its answer, or gives what the answer still had to travel, in ms. */
async function measure(link: SlowLink, send: () => Promise<number>): Promise<Cost> {
  await link.take();
  const started = link.started().then(() => performance.now());
  const travelMs = await send();
  const endMs = performance.now() + travelMs;
  await pause(SETTLE_MS);
  return { seconds: (endMs - (await started)) / 1000, ...(await link.take()) };
}

/** The one that took neither the shortest nor the longest time. */
async function measureOften(link: SlowLink, send: () => Promise<number>): Promise<Cost> {
  const costs: Cost[] = [];
  for (let round = 0; round < ROUNDS; round++) costs.push(await measure(link, send));
  const { median } = spreadOf(costs.map(({ seconds }) => seconds));
  return costs.find(({ seconds }) => seconds === median)!;
}

/** A hub at the other end. @returns its port */
async function startHub({ command, host }: SlowLink): Promise<number> {
  const home = makeHome({ qmqpclients: '198.18.29.1\n', concurrencylocal: '0\n', concurrencyremote: '0\n' });
  const words = [...command, join(ROOT, 'bin/mini-qmail'), 'hub', '--home', home, '--qmqp', `${host}:0`];
  const child = spawn(words[0]!, words.slice(1), {
    stdio: ['ignore', 'pipe', openSync(join(home, 'log'), 'a')],
  });
  const ended = once(child, 'exit');
  closers.push(async () => {
    child.kill();
    await ended;
    removeHome(home);
  });
  const [printed] = await Promise.race([once(child.stdout!, 'data'), ended]);
  const [, port] = /^qmqp .*:(\d+)\n/.exec(String(printed)) ?? [];
  if (port === undefined) throw new Error('The hub has not started');
  return Number(port);
}

/** Runs a program that must succeed, with files on its first descriptors. */
async function run(program: string, args: readonly string[], env: object, ...files: string[]): Promise<void> {
  const stdio = [...files.map((file) => openSync(file, 'r')), 'ignore' as const, 'inherit' as const].slice(
    0,
    3,
  );
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio });
  const [code, signal] = await once(child, 'exit');
  if (code !== 0) throw new Error(`${program} ended with ${code ?? signal}`);
}

async function benchQmqp(link: SlowLink, folder: string, mail: ListMail): Promise<void> {
  const { host, port } = await link.reach(await startHub(link));
  for (const [name, word] of [
    ['QMQP', ''],
    ['QMQP, gzip', ' gzip'],
  ] as const) {
    const home = makeHome({ qmqpservers: `qmqp://${host}:${port}${word}\n` });
    closers.push(() => removeHome(home));
    let round = 0;
    const cost = await measureOften(link, async () => {
      // Another Message-ID each time: the hub takes it for a message of its own.
      const message = mail.message.replace('.4711.', `.${4711 + round++ + name.length * 100}.`);
      writeFileSync(join(folder, 'message'), message);
      writeFileSync(join(folder, 'envelope'), queueEnvelope(mail));
      const files = ['message', 'envelope'].map((file) => join(folder, file));
      await run(join(ROOT, 'bin/qmail-qmqpc'), [], { QMAILHOME: home }, ...files);
      return 0;
    });
    rows.push({ name, ...cost });
  }
}

async function benchMsmtp(link: SlowLink, folder: string, sink: Sink, mail: ListMail): Promise<void> {
  const missing = missingPeers('msmtp');
  if (missing !== false) return void absent.push(missing);
  const { host, port } = await link.reach(sink.ports[0]!);
  const options = [`--host=${host}`, `--port=${port}`, `--from=${mail.sender}`, '--auth=off', '--tls=off'];
  writeFileSync(join(folder, 'message'), mail.message);
  const cost = await measureOften(link, async () => {
    const taken = (await sink.counts()).recipients;
    const args = ['--file=/dev/null', ...options, '--', ...mail.recipients];
    const ended = run(findPeer('msmtp')!, args, {}, join(folder, 'message'));
    await sink.until(taken + mail.recipients.length);
    const takenMs = performance.now();
    await ended;
    return takenMs + SPEED.delayMs - performance.now();
  });
  rows.push({ name: 'SMTP, pipelining (msmtp)', ...cost });
}

/** A Postfix on this side. @returns how to send messages by it, one after the other */
async function startRelay(
  link: SlowLink,
  sink: Sink,
  settings: Readonly<Record<string, string>>,
): Promise<(mails: readonly ListMail[]) => Promise<number>> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-postfix-'));
  chmodSync(folder, 0o755);
  closers.push(() => rmSync(folder, { recursive: true }));
  const port = await freePort();
  const place = await link.reach(sink.ports[0]!);
  const limits = {
    relayhost: `[${place.host}]:${place.port}`,
    smtp_destination_recipient_limit: '1000',
    smtp_destination_concurrency_limit: '1',
    initial_destination_concurrency: '1',
  };
  const options = { service: 'smtpd', isLeaving: true, settings: { ...limits, ...settings } } as const;
  const postfix = await startPostfix(folder, port, options);
  closers.push(() => postfix.stop());
  return async (mails) => {
    const taken = (await sink.counts()).recipients;
    const client = await SmtpClient.connect(port);
    let count = 0;
    for (const { sender, recipients, message } of mails) {
      const lines = recipients.map((recipient) => `RCPT TO:<${recipient}>`);
      for (const line of [`MAIL FROM:<${sender}>`, ...lines, 'DATA'])
        await insist(client.command(line), line);
      await insist(client.command(`${message.replaceAll('\n', '\r\n')}.`), 'the message');
      count += recipients.length;
    }
    client.close();
    await sink.until(taken + count);
    return SPEED.delayMs;
  };
}

async function benchPostfix(link: SlowLink, sink: Sink, mail: ListMail): Promise<void> {
  const obstacle = missingPostfix();
  if (obstacle !== false) return void absent.push(`Postfix (${obstacle})`);
  const send = await startRelay(link, sink, {});
  rows.push({ name: 'SMTP, pipelining (Postfix)', ...(await measureOften(link, () => send([mail]))) });
  const count = mail.recipients.length;
  const few = await startRelay(link, sink, { smtp_discard_ehlo_keywords: 'pipelining' });
  const sendTo = (recipients: number) => measure(link, () => few([makeListMail(recipients)]));
  const name = 'SMTP, no pipelining (Postfix)';
  if (IS_FULL) rows.push({ name, ...(await sendTo(count)) });
  else {
    const [least, most] = SINGLY;
    const factor = (count - least) / (most - least);
    const cost = combine(await sendTo(least), await sendTo(most), (a, b) => a + (b - a) * factor);
    rows.push({ name, ...cost, note: `reckoned from ${least} and ${most} recipients` });
  }
  const copies = mail.recipients.slice(0, IS_FULL ? count : COPIES).map((recipient) => ({
    ...mail,
    sender: mail.sender.replace('@', `-${recipient.replace('@', '=')}@`),
    recipients: [recipient],
  }));
  const cost = await measure(link, () => send(copies));
  const all = combine(cost, cost, (value) => (value * count) / copies.length);
  rows.push({ name: COPY_EACH, ...all, ...(IS_FULL ? {} : { note: `reckoned from ${COPIES} copies` }) });
}

async function insist(answering: Promise<string>, what: string): Promise<void> {
  const answer = await answering;
  if (!/^[23]/.test(answer)) throw new Error(`Postfix does not take ${what}: ${answer}`);
}

function combine(one: Cost, other: Cost, reckon: (a: number, b: number) => number): Cost {
  const whole = (a: number, b: number) => Math.round(reckon(a, b));
  const traffic = (a: LineTraffic['up'], b: LineTraffic['up']) => ({
    bytes: whole(a.bytes, b.bytes),
    packets: whole(a.packets, b.packets),
  });
  return {
    seconds: reckon(one.seconds, other.seconds),
    up: traffic(one.up, other.up),
    down: traffic(one.down, other.down),
  };
}

function print(): void {
  const plain = rows[0]!.seconds;
  const heads = ['seconds', 'to QMQP', 'bytes up', 'down', 'packets up', 'down', 'line in use'];
  console.log(`  ${''.padEnd(30)}${heads.map((head) => head.padStart(12)).join('')}`);
  for (const { name, seconds, up, down, note } of rows) {
    const use = (up.bytes * 8) / SPEED.bitsPerSecond / seconds;
    const cells = [
      ...[seconds.toFixed(1), `${(seconds / plain).toFixed(2)}×`],
      ...[up.bytes, down.bytes, up.packets, down.packets].map((value) => value.toLocaleString('en')),
      `${(use * 100).toFixed(0)} %`,
    ];
    console.log(
      `  ${name.padEnd(30)}${cells.map((cell) => cell.padStart(12)).join('')}${note ? `  ${note}` : ''}`,
    );
  }
}

function judge(mail: ListMail): void {
  const envelope = parseQueueEnvelope(bytesOf(queueEnvelope(mail)))!;
  const request = encodeQmqpRequest([bytesOf(mail.message)], envelope);
  const bytes = request.reduce((sum, { length }) => sum + length, 0);
  const limit = wireLimitSeconds(bytes, SPEED);
  const [plain, packed] = rows.map(({ seconds }) => seconds) as [number, number];
  console.log(
    `\n  the request has ${bytes.toLocaleString('en')} bytes; the line needs ${limit.toFixed(2)} s for them in full packets`,
  );
  printRatio('QMQP to what the line needs', plain / limit, { atMost: 1.15 });
  printRatio('QMQP to 10 s', plain / 10, { atMost: 1 });
  printRatio('QMQP with gzip to 4 s', packed / 4, { atMost: 1 });
  const copies = rows.find(({ name }) => name === COPY_EACH);
  if (copies === undefined) return;
  printRatio('SMTP with a copy each to QMQP', copies.seconds / plain, { atLeast: 100 });
  const best = (copies.up.bytes * 8) / SPEED.bitsPerSecond;
  const most = `${best.toFixed(0)} s if the line were never idle, ${(best / plain).toFixed(0)}×`;
  console.log(`  one after the other, with a connection each; the copies need ${most}`);
}

/** Ends what was started, the last first. */
async function closeAll(): Promise<void> {
  for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
}

console.log('modem: 1,000 recipients and 1.4 KB at 28.8 kbit/s, 200 ms round trip');
const link = await openSlowLink(SPEED, process.argv.includes('--proxy'));
closers.push(() => link.close());
// Networks outlive processes. What was started may have got the signal too, so that nothing is heard of its end.
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, async () => {
    await Promise.race([closeAll().catch(() => undefined), pause(5000)]);
    await link.close();
    process.exit(1);
  });
try {
  console.log(`  ${link.kind}\n`);
  const mail = makeListMail();
  const folder = mkdtempSync(join(tmpdir(), 'bench-modem-'));
  closers.push(() => rmSync(folder, { recursive: true }));
  const sink = await Sink.startBy(link.command, link.host);
  closers.push(() => sink.stop());
  await benchQmqp(link, folder, mail);
  await benchMsmtp(link, folder, sink, mail);
  await benchPostfix(link, sink, mail);
  print();
  judge(mail);
} finally {
  await closeAll();
}
for (const name of absent) console.log(`  absent: ${name}`);
