// A gateway under pressure: large messages do not stay in its memory, and a client that has gone while its message waited
// for a hub will send it again, so it is not handed over.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startGateway } from '../support/gateway.ts';
import { HubProcess, makeHome, readMailbox, removeHome } from '../support/hub-process.ts';
import { SmtpClient } from '../support/smtp-client.ts';

const MEGABYTE = 1 << 20;
const noProc = process.platform === 'linux' ? false : 'memory of a process is read from /proc';

/** The most memory that a process has had, in bytes. */
function peakOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

test('four messages of 30 MB at a time go through a gateway to the byte, and not through its memory', {
  skip: noProc,
}, async (t) => {
  const home = makeHome({ locals: 'hub.example\n' });
  const hub = await HubProcess.start(home);
  const spool = mkdtempSync(join(tmpdir(), 'gateway-spool-'));
  const gateway = await startGateway([hub.port], {}, { TMPDIR: spool });
  try {
    const small = await SmtpClient.connect(gateway.port);
    assert.match(await small.send('a@peer.example', 'small@hub.example', 'Subject: s\n\ns\n'), /^250/);
    const before = peakOf(gateway.server.pid);
    const line = `${'0123456789'.repeat(7)}\n`;
    const message = `Subject: large\n\n${line.repeat((30 * MEGABYTE) / line.length)}`;
    const replies = await Promise.all(
      [1, 2, 3, 4].map(async (i) => {
        const client = await SmtpClient.connect(gateway.port);
        const reply = await client.send('a@peer.example', `large${i}@hub.example`, message);
        client.close();
        return reply;
      }),
    );
    for (const reply of replies) assert.match(reply, /^250 ok/);
    const grown = peakOf(gateway.server.pid) - before;
    t.diagnostic(`grew by ${Math.round(grown / MEGABYTE)} MB`);
    assert.ok(grown < 60 * MEGABYTE, `grew by ${grown} bytes`);
    assert.deepEqual(readdirSync(spool), []);
    await hub.untilLogged(/^delivery\.success [^\n]*large\d@/m, 4);
    for (const i of [1, 2, 3, 4])
      assert.ok(readMailbox(home, 'hub.example', `large${i}`)[0]?.endsWith(`\n${message}`));
    small.close();
  } finally {
    await gateway.stop();
    await hub.end('SIGKILL');
    removeHome(home);
    rmSync(spool, { recursive: true });
  }
});

test('a message whose client has gone while it waited is not handed over', async () => {
  const requests: { text: string; socket: Socket }[] = [];
  let wake = (): void => {};
  const hub = createServer((socket) => {
    const request = { text: '', socket };
    requests.push(request);
    socket.on('error', () => undefined);
    socket.setEncoding('latin1').on('data', (text: string) => {
      request.text += text;
      wake();
    });
  });
  await new Promise<void>((resolve) => hub.listen(0, '127.0.0.1', resolve));
  const until = async (isSo: () => boolean) => {
    while (!isSo())
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  };
  const { port } = hub.address() as { port: number };
  const gateway = await startGateway([port], { concurrencyqmqp: '1\n' });
  try {
    const [first, third] = [await SmtpClient.connect(gateway.port), await SmtpClient.connect(gateway.port)];
    const firstReply = first.send('a@peer.example', 'first@hub.example', 'first\n');
    await until(() => requests[0]?.text.includes('first@') === true);
    const gone = connect({ host: '127.0.0.1', port: gateway.port });
    await once(gone, 'data');
    const lines = ['HELO gone.example', 'MAIL FROM:<a@peer.example>', 'RCPT TO:<gone@hub.example>', 'DATA'];
    for (const line of lines) {
      gone.write(`${line}\r\n`);
      await once(gone, 'data');
    }
    gone.write('gone\r\n.\r\n', () => gone.resetAndDestroy());
    await once(gone, 'close');
    // An answer to somebody else: the gateway has seen the reset by then.
    await third.command('RSET');
    const thirdReply = third.send('a@peer.example', 'third@hub.example', 'third\n');
    requests[0]?.socket.end('2:Kx,');
    assert.match(await firstReply, /^250/);
    await until(() => requests[1]?.text.includes('@hub.example,,') === true);
    assert.match(requests[1]?.text ?? '', /third@hub\.example/);
    requests[1]?.socket.end('2:Kx,');
    assert.match(await thirdReply, /^250/);
    assert.equal(requests.length, 2);
    for (const client of [first, third]) client.close();
  } finally {
    await gateway.stop();
    hub.close();
  }
});
