// The golden vectors of qmail-remote with the built program against a scripted server, and what they do not show: names
// looked up, hosts that do not answer, descriptors that fail, and the table that remembers.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { agree, type ScriptedReply, ScriptedServer } from '../delivery/smtp-server.ts';
import { ROOT } from '../support/client-vectors.ts';
import { startFakeDns } from '../support/fake-dns-server.ts';
import { ended, writeControl } from '../support/server-vectors.ts';

interface Vector {
  readonly name: string;
  readonly args: readonly string[];
  readonly control: Readonly<Record<string, string>>;
  readonly stdin: string;
  readonly server_script: readonly ScriptedReply[];
  readonly expect: { readonly exit: number; readonly stdout: string; readonly client_sent: string };
}

const VECTORS: readonly Vector[] = JSON.parse(
  readFileSync(new URL('../vectors/qmail-remote.json', import.meta.url), 'utf8'),
);

/** A home with these control files. */
function makeHome(control: Readonly<Record<string, string>>): string {
  const home = mkdtempSync(join(tmpdir(), 'qmail-remote-'));
  writeControl(join(home, 'control'), control);
  return home;
}

const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** Runs a program of a home; words are one character per byte, which only a shell can pass on. */
function run(home: string, program: string, words: readonly string[], stdin?: string, more: object = {}) {
  writeFileSync(join(home, 'stdin'), stdin ?? '', 'latin1');
  const command = [join(ROOT, 'bin', program), ...words].map(quote).join(' ');
  writeFileSync(join(home, 'run'), `exec ${command}`, 'latin1');
  const input = openSync(join(home, 'stdin'), 'r');
  const child = spawn('/bin/sh', [join(home, 'run')], {
    stdio: [input, 'pipe', 'pipe'],
    env: { PATH: '/usr/bin:/bin', QMAILHOME: home, ...more },
  });
  closeSync(input);
  return ended(child);
}

async function runVector(vector: Vector): Promise<void> {
  const server = await ScriptedServer.start(vector.server_script);
  const control = Object.fromEntries(
    Object.entries(vector.control).map(([name, content]) => [
      name,
      content.replaceAll('@PORT@', String(server.port)),
    ]),
  );
  const home = makeHome(control);
  try {
    if (vector.server_script.length === 0) await server.close();
    const { exit, stdout, stderr } = await run(home, 'qmail-remote', vector.args, vector.stdin);
    assert.equal(stdout, vector.expect.stdout);
    assert.deepEqual([exit, stderr], [vector.expect.exit, '']);
    await server.connectionsClosed();
    assert.equal(server.received.join(''), vector.expect.client_sent);
  } finally {
    rmSync(home, { recursive: true });
    await server.close();
  }
}

describe('qmail-remote as a program', { concurrency: 4 }, () => {
  for (const vector of VECTORS) test(vector.name, () => runVector(vector));
});

/** A home whose mail for everybody goes to that port. */
function routedHome(port: number, more: Readonly<Record<string, string>> = {}): string {
  return makeHome({ me: 'me.example\n', smtproutes: `:127.0.0.1:${port}\n`, ...more });
}

const WORDS = ['far.example', 's@me.example', 'r@far.example'];

test('a bare CR ends a line, and what hides behind it is text', async () => {
  const server = await ScriptedServer.start(agree());
  const home = routedHome(server.port);
  try {
    const { stdout } = await run(home, 'qmail-remote', WORDS, 'x\r.\rRSET\r\n.\rMAIL FROM:<evil@x>\n');
    assert.equal(stdout, 'r\0K127.0.0.1 accepted message.\nRemote host said: 250 ok\n\0');
    assert.deepEqual(server.messages, ['x\r\n..\r\nRSET\r\n..\r\nMAIL FROM:<evil@x>\r\n.\r\n']);
  } finally {
    rmSync(home, { recursive: true });
    await server.close();
  }
});

test('a message of many pieces arrives whole', async () => {
  const server = await ScriptedServer.start(agree());
  const home = routedHome(server.port);
  const line = `.${'y'.repeat(998)}\n`;
  try {
    const { stdout } = await run(home, 'qmail-remote', WORDS, line.repeat(1000));
    assert.match(stdout, /^r\0K/);
    assert.equal(server.messages[0], `${`.${line.slice(0, -1)}\r\n`.repeat(1000)}.\r\n`);
  } finally {
    rmSync(home, { recursive: true });
    await server.close();
  }
});

test('what this host cannot do now is temporary, and a bad call is for good', async () => {
  const home = routedHome(1);
  try {
    mkdirSync(join(home, 'control/timeoutremote'));
    assert.equal(
      (await run(home, 'qmail-remote', WORDS)).stdout,
      'ZUnable to read control files. (#4.3.0)\n\0',
    );
    rmSync(join(home, 'control/timeoutremote'), { recursive: true });
    const bad = await run(home, 'qmail-remote', ['far.example', 's', 'r\n@x']);
    assert.match(bad.stdout, /^hSorry, that address cannot be sent by SMTP\. [^\0]*\0D[^\0]*\0$/);
  } finally {
    rmSync(home, { recursive: true });
  }
});

test('what only the hub speaks is refused for now, and nobody is connected to', async () => {
  const server = await ScriptedServer.start(agree());
  const home = makeHome({
    me: 'me.example\n',
    smtproutes: `a.example:lmtp:127.0.0.1:${server.port}\nb.example:smtps:127.0.0.1:${server.port}\nc.example:127.0.0.1:465\n`,
  });
  try {
    for (const [host, protocol] of [
      ['a.example', 'LMTP'],
      ['b.example', 'SMTPS'],
      ['c.example', 'SMTPS'],
    ] as const) {
      const words = `control/smtproutes asks for ${protocol} on the way to ${host}, which I don't speak`;
      const { exit, stdout } = await run(home, 'qmail-remote', [host, 's@me.example', 'r@x'], 'x\n');
      assert.deepEqual([exit, stdout], [0, `ZSorry, ${words}. (#4.3.5)\n\0`]);
    }
    assert.deepEqual(server.received, []);
  } finally {
    rmSync(home, { recursive: true });
    await server.close();
  }
});

test('a closed descriptor 0 is a message that cannot be read, not an empty one', async () => {
  const server = await ScriptedServer.start(agree());
  const home = routedHome(server.port);
  try {
    const command = [join(ROOT, 'bin/qmail-remote'), ...WORDS].map(quote).join(' ');
    const child = spawn('/bin/sh', ['-c', `exec ${command} <&-`], {
      env: { PATH: '/usr/bin:/bin', QMAILHOME: home },
    });
    assert.equal((await ended(child)).stdout, 'r\0ZUnable to read message. (#4.3.0)\n\0');
    assert.deepEqual(server.messages, []);
  } finally {
    rmSync(home, { recursive: true });
    await server.close();
  }
});

describe('the table of timeouts', () => {
  const ip = [127, 0, 0, 1];
  const seconds = () => Math.floor(Date.now() / 1000);

  function record(count: number, when: number): Buffer {
    const bytes = Buffer.alloc(16);
    bytes.set([...ip, count]);
    bytes.writeUInt32LE(when, 8);
    return bytes;
  }

  function homeWithTable(port: number, table: Buffer): string {
    const home = routedHome(port);
    mkdirSync(join(home, 'queue/lock'), { recursive: true });
    writeFileSync(join(home, 'queue/lock/tcpto'), Buffer.concat([table, Buffer.alloc(1024 - table.length)]));
    return home;
  }

  const readTable = (home: string) => readFileSync(join(home, 'queue/lock/tcpto'));

  test('an address with two timeouts is left alone until qmail-tcpok has forgotten them', async () => {
    const server = await ScriptedServer.start(agree());
    const home = homeWithTable(server.port, record(2, seconds() - 100));
    try {
      const listed = await run(home, 'qmail-tcpto', []);
      assert.match(listed.stdout, /^127\.0\.0\.1 timed out 10\d seconds ago; # recent timeouts: 2\n$/);
      const skipped = await run(home, 'qmail-remote', WORDS, 'x\n');
      assert.equal(skipped.stdout, "ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n\0");
      assert.deepEqual(server.received, []);
      assert.deepEqual(await run(home, 'qmail-tcpok', []), { exit: 0, stdout: '', stderr: '' });
      assert.deepEqual(readTable(home), Buffer.alloc(1024));
      assert.match((await run(home, 'qmail-remote', WORDS, 'x\n')).stdout, /^r\0K/);
    } finally {
      rmSync(home, { recursive: true });
      await server.close();
    }
  });

  test('a connection, or a refusal, forgets the timeouts of its address', async () => {
    const server = await ScriptedServer.start(agree());
    const home = homeWithTable(server.port, record(2, seconds() - 10_000));
    try {
      assert.match((await run(home, 'qmail-remote', WORDS, 'x\n')).stdout, /^r\0K/);
      assert.equal(readTable(home)[4], 0);
      writeFileSync(join(home, 'queue/lock/tcpto'), record(1, seconds()));
      await server.close();
      await run(home, 'qmail-remote', WORDS, 'x\n');
      assert.equal(readTable(home)[4], 0);
      assert.equal((await run(home, 'qmail-tcpto', [])).stdout, '');
    } finally {
      rmSync(home, { recursive: true });
    }
  });

  test('without it the programs say what is missing, and mail goes out', async () => {
    const server = await ScriptedServer.start(agree());
    const home = routedHome(server.port);
    try {
      assert.match((await run(home, 'qmail-remote', WORDS, 'x\n')).stdout, /^r\0K/);
      assert.deepEqual(await run(home, 'qmail-tcpto', []), {
        ...{ exit: 111, stdout: 'fatal: unable to chdir: file does not exist\n', stderr: '' },
      });
      mkdirSync(join(home, 'queue/lock'), { recursive: true });
      assert.deepEqual(await run(home, 'qmail-tcpok', []), {
        ...{
          exit: 111,
          stdout: '',
          stderr: 'qmail-tcpok: fatal: unable to open tcpto: file does not exist\n',
        },
      });
    } finally {
      rmSync(home, { recursive: true });
      await server.close();
    }
  });
});

const DNS_HOST = '127.7.13.1';
const needsRoot = process.getuid?.() === 0 ? false : 'needs root for port 53';

test('names are looked up, and what does not exist is for good', { skip: needsRoot }, async () => {
  const server = await ScriptedServer.start(agree());
  const zone = {
    'relay.example A': ['127.0.0.1'],
    'nobody.example MX': ['10 gone.example'],
    'null.example MX': ['0 .'],
  };
  const dns = await startFakeDns({ host: DNS_HOST, port: 53, zone });
  const home = makeHome({ me: 'me.example', smtproutes: `far.example:relay.example:${server.port}\n` });
  const ask = async (host: string) => {
    const env = { DNSCACHEIP: DNS_HOST };
    return (await run(home, 'qmail-remote', [host, 's@me.example', 'r@x'], 'x\n', env)).stdout;
  };
  try {
    assert.match(await ask('far.example'), /^r\0K127\.0\.0\.1 accepted message\./);
    const reports: [string, string][] = [
      ['Gone\x80.example', "DSorry, I couldn't find any host named Gone?.example. (#5.1.2)\n\0"],
      ['nobody.example', "DSorry, I couldn't find a mail exchanger or IP address. (#5.4.4)\n\0"],
      ['null.example', 'DSorry, that domain does not accept mail. (#5.1.10)\n\0'],
    ];
    for (const [host, report] of reports) assert.equal(await ask(host), report);
  } finally {
    rmSync(home, { recursive: true });
    await Promise.all([server.close(), dns.stop()]);
  }
});
