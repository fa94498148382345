// The hub as a process: what an administrator and a client see of it.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ROOT } from '../support/client-vectors.ts';
import {
  exchange,
  HubProcess,
  makeHome,
  qmqpRequest,
  readMailbox,
  removeHome,
  submit,
} from '../support/hub-process.ts';

const MESSAGE = 'From: a@b.example\nSubject: x\n\nfirst\r\n.\n\0\xff no newline';

function miniQmail(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(join(ROOT, 'bin/mini-qmail'), args, { encoding: 'latin1' });
  return { status, stdout, stderr };
}

describe('mini-qmail hub', () => {
  let home: string;
  let hub: HubProcess;
  before(async () => {
    home = makeHome({
      locals: 'hub.example\nlocal.example\n',
      concurrencyremote: '0\n',
      databytes: '70000\n',
    });
    hub = await HubProcess.start(home);
  });
  after(async () => {
    await hub.end('SIGKILL');
    removeHome(home);
  });

  it('delivers to a Maildir with Return-Path, Delivered-To and Received, and not a byte changed', async () => {
    assert.match(
      await submit(hub.port, MESSAGE, 'send er@b.example', 'Joe@Local.Example'),
      /^Kok \d+ qp \d+$/,
    );
    await hub.untilLogged(/delivery\.success .*Joe@Local\.Example/);
    const [stored] = readMailbox(home, 'local.example', 'Joe');
    assert.match(
      stored!,
      /^Return-Path: <"send er"@b\.example>\nDelivered-To: Joe@Local\.Example\nReceived: from unknown \(127\.0\.0\.1\)\n {2}by hub\.example with QMQP; \d+ \w+ \d+ [\d:]+ -0000\n/,
    );
    assert.equal(stored!.slice(stored!.indexOf('From: a@b')), MESSAGE);
  });

  it('takes a recipient without a host as one of this host', async () => {
    await submit(hub.port, MESSAGE, '', 'root');
    await hub.untilLogged(/delivery\.success .*recipient=root@hub\.example/);
    assert.equal(readMailbox(home, 'hub.example', 'root').length, 1);
  });

  it('accepts a message without recipients and keeps nothing of it', async () => {
    assert.match(await submit(hub.port, MESSAGE, 'a@b'), /^Kok /);
    const { stdout } = miniQmail('queue', 'ls', '--home', home, '--json');
    assert.equal(stdout, '');
  });

  it('takes a large message through a file of its own', async () => {
    const large = `Subject: large\n\n${'0123456789abcdef'.repeat(4000)}`;
    assert.match(await submit(hub.port, large, 'a@b', 'large@local.example'), /^Kok /);
    await hub.untilLogged(/delivery\.success .*large@local\.example/);
    const [stored] = readMailbox(home, 'local.example', 'large');
    assert.ok(stored!.endsWith(large));
  });

  it('refuses a message over control/databytes for good, without keeping it', async () => {
    const reply = await submit(hub.port, 'x'.repeat(70_001), 'a@b', 'big@local.example');
    assert.match(reply, /^D.*size limit \(#5\.3\.4\)$/);
    assert.match(await submit(hub.port, 'x'.repeat(70_000), 'a@b', 'big@local.example'), /^K/);
  });

  it('refuses an address of 1000 bytes and one with NUL as qmail-qmqpd does', async () => {
    for (const address of [`${'r'.repeat(990)}@b.example`, 'a\0b@c']) {
      assert.equal(
        await submit(hub.port, MESSAGE, 'a@b', address),
        "Dsorry, I can't accept addresses like that (#5.1.3)",
      );
    }
  });

  it('ends without a reply, and queues nothing, on a request that breaks the protocol or stops early', async () => {
    const request = qmqpRequest(MESSAGE, 'a@b', ['never@local.example']).toString('latin1');
    const broken = [
      `${request.slice(0, -1)};`,
      `9${request}`,
      `x${request}`,
      'HELO x\r\n',
      '0:,',
      '99999999999999999999:',
    ];
    for (const text of broken) {
      const [reply] = await Promise.all([exchangeAndClose(hub.port, text)]);
      assert.equal(reply, '', JSON.stringify(text.slice(0, 30)));
    }
    assert.doesNotMatch(hub.log.text, /never@local\.example/);
  });

  it('replies although the client sends more after the request', async () => {
    const reply = await exchange(
      hub.port,
      Buffer.concat([qmqpRequest(MESSAGE, 'a@b', ['r@local.example']), Buffer.from('garbage')]),
    );
    assert.match(reply, /:Kok /);
  });

  it('queue ls shows what waits, with and without --json', async () => {
    const before = Date.now();
    await submit(hub.port, MESSAGE, 'a@b', 'one@remote.example', 'two@remote.example');
    const { status, stdout } = miniQmail('queue', 'ls', '--home', home, '--json');
    assert.equal(status, 0);
    const waiting = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const message = waiting.find(({ recipients }) => recipients.length === 2);
    assert.equal(message.sender, 'a@b');
    assert.ok(Date.parse(message.accepted) >= before - 1000);
    assert.deepEqual(message.recipients, [
      { address: 'one@remote.example', channel: 'remote', state: 'todo' },
      { address: 'two@remote.example', channel: 'remote', state: 'todo' },
    ]);
    assert.match(
      miniQmail('queue', 'ls', '--home', home).stdout,
      /<a@b>\n {2}remote\tone@remote\.example\tnext \d{4}-/,
    );
  });

  it('is reached by sendmail through qmqpservers with a port', async () => {
    writeFileSync(join(home, 'control/qmqpservers'), `qmqp://127.0.0.1:${hub.port}\n`);
    const { status, stderr } = spawnSync(join(ROOT, 'bin/sendmail'), ['-t'], {
      input: 'To: viasendmail@local.example\nSubject: s\n\nbody\n',
      env: { QMAILHOME: home, USER: 'joe' },
      encoding: 'latin1',
    });
    assert.equal(stderr, '');
    assert.equal(status, 0);
    await hub.untilLogged(/delivery\.success .*viasendmail@local\.example/);
    assert.match(readMailbox(home, 'local.example', 'viasendmail')[0]!, /^Return-Path: <joe@hub\.example>\n/);
  });

  it('stops a second hub on the same home and says why', () => {
    const { status, stderr } = miniQmail('hub', '--home', home, '--qmqp', '127.0.0.1:0');
    assert.equal(status, 111);
    assert.match(stderr, /mini-qmail hub: fatal: Cannot open in index .*index\.sqlite: .*locked/);
  });
});

/** Sends, closes the sending side, and gives what came back. */
async function exchangeAndClose(port: number, text: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  let reply = '';
  socket.setEncoding('latin1').on('data', (more: string) => {
    reply += more;
  });
  socket.on('error', () => undefined);
  socket.end(Buffer.from(text, 'latin1'));
  await once(socket, 'close');
  return reply;
}

describe('mini-qmail hub, start and stop', () => {
  it('ends with 0 on TERM and keeps what is queued; the next start and queue ls without a hub have it', async () => {
    const home = makeHome({ concurrencyremote: '0\n' });
    try {
      const hub = await HubProcess.start(home);
      await submit(hub.port, MESSAGE, 'a@b', 'r@remote.example');
      assert.equal(await hub.end('SIGTERM'), 0);
      assert.match(hub.log.text, /hub\.stopped messages=1 accepted=1 resubmissions=0 finished=0\n$/);
      const stopped = miniQmail('queue', 'ls', '--home', home, '--json');
      assert.equal(JSON.parse(stopped.stdout).recipients[0].address, 'r@remote.example');
      const again = await HubProcess.start(home);
      assert.equal(miniQmail('queue', 'ls', '--home', home, '--json').stdout, stopped.stdout);
      assert.equal(await again.end('SIGINT'), 0);
    } finally {
      removeHome(home);
    }
  });

  it('goes on at HUP, and says that control files are read at start only', async () => {
    const home = makeHome();
    const hub = await HubProcess.start(home);
    try {
      process.kill(hub.pid, 'SIGHUP');
      await hub.untilLogged(/hub\.hangup /);
      assert.match(await submit(hub.port, MESSAGE, 'a@b', 'r@hub.example'), /^Kok /);
      assert.equal(await hub.end(), 0);
    } finally {
      await hub.end('SIGKILL');
      removeHome(home);
    }
  });

  it('finishes a request that is under way when TERM comes, and sends idle clients away', async () => {
    const home = makeHome();
    const hub = await HubProcess.start(home);
    try {
      const request = qmqpRequest('x'.repeat(1000), 'a@b', ['late@hub.example']);
      const slow = connect({ host: '127.0.0.1', port: hub.port });
      const idle = connect({ host: '127.0.0.1', port: hub.port });
      await Promise.all([once(slow, 'connect'), once(idle, 'connect')]);
      let reply = '';
      slow.setEncoding('latin1').on('data', (text: string) => {
        reply += text;
      });
      slow.write(request.subarray(0, 500));
      // A whole exchange on another connection: the hub has seen the first half by then.
      await submit(hub.port, MESSAGE, 'a@b', 'early@hub.example');
      const idleClosed = once(idle, 'close');
      const ended = hub.end('SIGTERM');
      await idleClosed;
      slow.write(request.subarray(500));
      await once(slow, 'close');
      assert.match(reply, /:Kok /);
      assert.equal(await ended, 0);
      const again = await HubProcess.start(home);
      await again.untilLogged(/(delivery\.success .*late@hub\.example|hub\.started)/);
      await again.end();
      assert.equal(readMailbox(home, 'hub.example', 'late').length, 1);
    } finally {
      await hub.end('SIGKILL');
      removeHome(home);
    }
  });

  const refusals: {
    name: string;
    control: Record<string, string>;
    args?: string[];
    exit: number;
    want: RegExp;
  }[] = [
    { name: 'control/me is missing', control: {}, exit: 111, want: /control\/me is missing/ },
    {
      name: 'an entry of qmqpclients is no network',
      control: { me: 'h.example\n', qmqpclients: '10.0.0.0/8\nexample.org\n' },
      exit: 111,
      want: /qmqpclients: entry "example\.org" is not an address or a network/,
    },
    {
      name: '--qmqp is no address',
      control: { me: 'h.example\n' },
      args: ['--qmqp', '628'],
      exit: 100,
      want: /--qmqp "628" is not HOST:PORT/,
    },
  ];
  for (const { name, control, args, exit, want } of refusals) {
    it(`does not start when ${name}`, () => {
      const home = makeHome(control);
      try {
        if (control['me'] === undefined) spawnSync('rm', [join(home, 'control/me')]);
        const { status, stderr } = miniQmail('hub', '--home', home, ...(args ?? ['--qmqp', '127.0.0.1:0']));
        assert.equal(status, exit);
        assert.match(stderr, want);
      } finally {
        removeHome(home);
      }
    });
  }

  it('does not start when the address is taken, and says so', async () => {
    const home = makeHome();
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    try {
      const { port } = taken.address() as { port: number };
      const { status, stderr } = await runHub(home, `127.0.0.1:${port}`);
      assert.equal(status, 111);
      assert.match(stderr, /EADDRINUSE/);
    } finally {
      taken.close();
      removeHome(home);
    }
  });

  it('does not start when the queue cannot be written, and names the folder', {
    skip: process.getuid?.() === 0 && !existsSync('/usr/bin/setpriv') ? 'root may write everywhere' : false,
  }, async () => {
    const home = makeHome();
    try {
      chmodSync(home, 0o555);
      const { status, stderr } = await runHub(home, '127.0.0.1:0', true);
      assert.equal(status, 111);
      assert.match(stderr, new RegExp(`Cannot make ${home}/queue: EACCES`));
    } finally {
      chmodSync(home, 0o755);
      removeHome(home);
    }
  });
});

/** Runs a hub that is expected to end by itself; `unprivileged` takes root's rights away first. */
async function runHub(
  home: string,
  qmqp: string,
  unprivileged = false,
): Promise<{ status: number | null; stderr: string }> {
  const drop = unprivileged && process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--clear-groups'] : [];
  const [command, ...args] = [...drop, join(ROOT, 'bin/mini-qmail'), 'hub', '--home', home, '--qmqp', qmqp];
  const child = spawn(command!, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr!.setEncoding('latin1').on('data', (text: string) => {
    stderr += text;
  });
  const [status] = await once(child, 'close');
  return { status, stderr };
}
