// Our qmail-smtpd under the original tcpserver: messages from Postfix's generator and from a client of our own arrive, each
// exactly once and unchanged, and clients that mean harm cost no memory.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { makeCertificate } from '../support/certificate.ts';
import { findPeer, missingPeers, runPeer } from '../support/peers.ts';
import { type RecordingTcpserver, startRecordingTcpserver } from '../support/recording-tcpserver.ts';

let server: RecordingTcpserver;

beforeEach(async () => {
  if (findPeer('tcpserver') !== undefined) server = await startRecordingTcpserver('qmail-smtpd');
});
afterEach(async () => {
  if (findPeer('tcpserver') !== undefined) await server.stop();
});

const skip = missingPeers('tcpserver');

/** A client's side of a connection, and all that it hears until the end. */
function open(): { client: Socket; heard: Promise<string> } {
  const client = connect(server.port, '127.0.0.1');
  const parts: Buffer[] = [];
  client.on('data', (bytes) => parts.push(bytes as Buffer));
  client.on('error', () => {});
  const heard = new Promise<string>((resolve) => {
    client.on('close', () => resolve(Buffer.concat(parts).toString('latin1')));
  });
  return { client, heard };
}

function write(client: Socket, bytes: string | Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    client.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, () => resolve());
  });
}

test("qmail-smtpd under tcpserver takes 60 messages of Postfix's smtp-source, each once", {
  skip: missingPeers('tcpserver', 'smtp-source'),
}, async () => {
  const options = ['-m', '60', '-s', '4', '-l', '2000', '-r', '2', '-f', 's@x.example', '-t', 'r@y.example'];
  const ended = await runPeer('smtp-source', [...options, `inet:127.0.0.1:${server.port}`]);
  assert.deepEqual(ended, [0, '']);
  const messages = server.queued('SMTP');
  assert.equal(messages.length, 60);
  for (const { message, envelope } of messages) {
    assert.ok(message.includes('\n\n'), message.slice(0, 200));
    // The generator numbers recipients from message to message.
    assert.match(envelope?.join(' ') ?? '', /^s@x\.example( \d*r@y\.example){2}$/);
  }
});

test('qmail-smtpd under tcpserver takes a megabyte of every byte unchanged from a client that closes its side early', {
  skip,
}, async () => {
  const all = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join('');
  const line = all.replace('\n', '').replace('\r', '\r\r');
  const text = `${line}\n..${line}\n`.repeat(2_000);
  const { client, heard } = open();
  await write(client, 'MAIL FROM:<s@x>\r\nRCPT TO:<r@y>\r\nDATA\r\n');
  await write(client, `${text.replaceAll('\n', '\r\n').replace(/^\./gm, '..')}.\r\nQUIT\r\n`);
  client.end();
  assert.match(await heard, /354 go ahead\r\n250 ok \d+ qp \d+\r\n221 server\.example\r\n$/);
  const [only, ...more] = server.queued('SMTP');
  assert.equal(more.length, 0);
  assert.deepEqual(only?.envelope, ['s@x', 'r@y']);
  assert.ok(only.message === text);
});

test('qmail-smtpd under tcpserver takes a message by TLS on the socket that it was given', {
  skip: missingPeers('tcpserver', 'openssl'),
}, async () => {
  const certificate = makeCertificate('server.example');
  try {
    copyFileSync(certificate.path, join(server.home, 'control/servercert.pem'));
    const client = connect(server.port, '127.0.0.1');
    await once(client, 'data');
    await write(client, 'STARTTLS\r\n');
    assert.equal(String((await once(client, 'data'))[0]), '220 ready for TLS\r\n');
    const secure = connectTls({ socket: client, ca: certificate.cert, servername: 'server.example' });
    await once(secure, 'secureConnect');
    secure.write(
      `EHLO me\r\nMAIL FROM:<s@x>\r\nRCPT TO:<r@y>\r\nDATA\r\n${'x'.repeat(500_000)}\r\n.\r\nQUIT\r\n`,
    );
    let said = '';
    for await (const text of secure) said += text;
    assert.match(
      said,
      /^250-server\.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n(?:.*\r\n)*221 server\.example\r\n$/,
    );
    assert.deepEqual(
      server.queued('ESMTPS').map(({ message, envelope }) => [message.length, envelope]),
      [[500_001, ['s@x', 'r@y']]],
    );
  } finally {
    certificate.remove();
  }
});

/** Resident kilobytes of the session's process. */
function residentKb(): number {
  const status = readFileSync(`/proc/${server.childPid()}/status`, 'latin1');
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]);
}

for (const [name, start, piece, end, reply] of [
  ['a command line without end', '', 'x', '\r\nQUIT\r\n', / ESMTP\r\n502 unimplemented \(#5\.5\.1\)\r\n221 /],
  ['empty commands', '', '\r\n', 'QUIT\r\n', /(502 unimplemented \(#5\.5\.1\)\r\n)+221 /],
  ['NULs', '', '\0', '\r\nQUIT\r\n', / ESMTP\r\n502 unimplemented \(#5\.5\.1\)\r\n221 /],
  [
    'a message line without end',
    'MAIL FROM:<s@x>\r\nRCPT TO:<r@y>\r\nDATA\r\n',
    'x',
    '\r\n.\r\nQUIT\r\n',
    /\r\n354 go ahead\r\n250 ok \d+ qp \d+\r\n221 /,
  ],
] as const) {
  test(`qmail-smtpd takes ${name} of many megabytes in bounded memory`, { skip }, async () => {
    const { client, heard } = open();
    await once(client, 'data');
    await write(client, start);
    const bytes = Buffer.alloc(1 << 16, piece);
    // Every reply to an empty command is more than ten times its size.
    const count = name === 'empty commands' ? 100 : 3000;
    const before = residentKb();
    for (let i = 0; i < count; i++) await write(client, bytes);
    const grown = residentKb() - before;
    client.end(end);
    assert.match(await heard, reply);
    assert.ok(grown < 120_000, `${grown} kB more`);
  });
}

test('qmail-smtpd lets a client wait that sends and never reads, and ends when it goes', {
  skip,
}, async () => {
  const client = connect(server.port, '127.0.0.1');
  client.on('error', () => {});
  await once(client, 'data');
  client.pause();
  const bytes = Buffer.alloc(1 << 16, 'NOOP\r\n');
  const all = Buffer.concat(Array.from({ length: 400 }, () => bytes));
  let isTaken = false;
  client.write(all, () => {
    isTaken = true;
  });
  while (client.bytesWritten < 100_000) await new Promise(setImmediate);
  // What a connection cannot hold stays with the client, until the server writes nothing more.
  for (let last = -1; last !== residentKb(); ) {
    last = residentKb();
    for (let i = 0; i < 300; i++) await new Promise(setImmediate);
  }
  assert.equal(isTaken, false);
  assert.ok(residentKb() < 150_000, `${residentKb()} kB`);
  const pid = server.childPid();
  client.destroy();
  while (isRunning(pid)) await new Promise(setImmediate);
});

function isRunning(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
  } catch {
    return false;
  }
}
