// mini-qmail doctor as a process: real installations, a real hub, and that looking at them changes nothing.

import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeCertificate } from '../support/certificate.ts';
import { startFakeServer } from '../support/fake-qmqp-server.ts';
import { HubProcess, makeHome, readMailbox, removeHome } from '../support/hub-process.ts';
import { miniQmail } from '../support/mini-qmail.ts';
import { fresh, installed } from '../support/run-install.ts';

interface Report {
  readonly home: string;
  readonly roles: readonly string[];
  readonly state: string;
  readonly checks: readonly {
    check: string;
    subject: string;
    state: string;
    seen: string;
    remedy?: string;
  }[];
}

/** Runs it; the exit code must be that of the worst state. */
async function look(home: string, ...words: string[]): Promise<Report> {
  const { status, stdout, stderr } = await miniQmail('doctor', '--home', home, '--json', ...words);
  assert.equal(stderr, '');
  const report = JSON.parse(stdout) as Report;
  assert.equal(status, report.state === 'error' ? 1 : 0, stdout);
  return report;
}

/** What is worse than a note. A clock that nobody keeps right, or a disk that forgets, is this machine's own. */
function troubles({ checks }: Report): string[] {
  return checks
    .filter(
      ({ state, check, seen }) =>
        !['ok', 'note'].includes(state) && check !== 'clock' && !/ is on /.test(seen),
    )
    .map(({ state, check, subject, seen }) => `${state} ${check} ${subject} ${seen}`);
}

describe('mini-qmail doctor', () => {
  const home = makeHome({
    me: 'hub.example.org\n',
    smtproutes: ':relay.example.org\n',
    qmqpclients: '10.0.0.0/8\n',
  });
  const client = fresh();
  let hub: HubProcess;
  before(async () => {
    hub = await HubProcess.start(home);
    const words = ['--me', 'mail.example.org', '--idhost', 'host.example.org'];
    installed(client, '--role', 'client', '--server', `qmqp://127.0.0.1:${hub.port}`, ...words);
  });
  after(async () => {
    await hub.end();
    removeHome(home);
  });

  test('finds no fault with a client and a hub that are in order, and submits nothing', async () => {
    for (const line of [`qmqp://127.0.0.1:${hub.port}`, `qmqp://127.0.0.1:${hub.port} hub gzip`]) {
      writeFileSync(join(client, 'control/qmqpservers'), `${line}\n`);
      const found = await look(client);
      assert.deepEqual(troubles(found), []);
      assert.deepEqual(found.roles, ['client']);
      assert.ok(found.checks.some(({ seen }) => seen.startsWith('takes mail from here')));
    }
    const hubs = await look(home);
    assert.deepEqual(troubles(hubs), []);
    assert.deepEqual(hubs.roles, ['hub']);
    assert.ok(
      hubs.checks.some(({ seen }) => seen === `runs as process ${hub.pid}, takes mail on 127.0.0.1:0`),
    );
    assert.doesNotMatch(hub.log.text, /^accepted/m);
  });

  test('sends a message when it is told to, and follows it on the host of the hub', async () => {
    assert.deepEqual(troubles(await look(client, '--send', 'ann@hub.example.org')), []);
    await hub.untilLogged(/^delivery\.success .*recipient=ann@hub/m);
    const hubs = await look(home, '--send', 'bob@hub.example.org');
    const sent = hubs.checks.filter(({ check }) => check === 'send');
    assert.deepEqual(
      sent.map(({ state, subject, seen }) => `${state} ${subject} ${seen}`),
      [
        'ok bob@hub.example.org a server has taken the message',
        'ok bob@hub.example.org delivered: did 1+0+0/',
      ],
    );
    for (const local of ['ann', 'bob']) assert.equal(readMailbox(home, 'hub.example.org', local).length, 1);
  });

  test('finds each of many faults of a client, and is over in time', async () => {
    const hole = await startFakeServer('127.0.0.1', 0, [['blackhole']]);
    const denying = await startFakeServer('127.0.0.1', 0, [['close']]);
    const smtp = await startFakeServer('127.0.0.1', 0, [['send', '220 mx.example\r\n'], ['hang']]);
    const control = join(client, 'control');
    const ports = [hole.port, denying.port, smtp.port];
    writeFileSync(join(control, 'qmqpservers'), ports.map((port) => `qmqp://127.0.0.1:${port}\n`).join(''));
    appendFileSync(join(control, 'qmqpservers'), 'qmqp://nowhere.invalid\nqmqp://127.0.0.1 tsl\n');
    writeFileSync(join(control, 'defaulthost'), 'example.org\r\n');
    writeFileSync(join(control, 'plusdomian'), 'org\n');
    chmodSync(join(control, 'me'), 0o666);
    renameSync(join(client, 'bin/sendmail'), join(client, 'bin/sendmail.away'));
    const startMs = performance.now();
    try {
      const found = troubles(await look(client));
      assert.ok(performance.now() - startMs < 15_000);
      const wanted = [
        /^error control control\/defaulthost has carriage returns/,
        /^error control control\/me everybody may write/,
        /^warning control control\/plusdomian .* plusdomain meant/,
        /^error programs .*bin\/sendmail is missing/,
        /^error names control\/defaulthost "example\.org\r" is no name of a host/,
        /^warning servers control\/qmqpservers:5 "qmqp:\/\/127\.0\.0\.1 tsl" is passed over: tsl is no option/,
        /^error servers qmqp:\S+ cannot be reached: no answer/,
        /^error servers qmqp:\S+ closes the connection at once/,
        /^error servers qmqp:\S+ does not speak QMQP: it says "220 mx\.example"/,
        /^error servers qmqp:\/\/nowhere\.invalid:628 the name nowhere\.invalid (?:has no address|cannot be)/,
      ];
      assert.equal(found.length, wanted.length, found.join('\n'));
      for (const [i, pattern] of wanted.entries()) assert.match(found[i]!, pattern);
    } finally {
      for (const server of [hole, denying, smtp]) await server.stop();
    }
  });
});

test('mini-qmail doctor judges the certificate that a server shows, and a name that is not in it', async () => {
  const made = makeCertificate('hub.example.org');
  const home = makeHome({ me: 'hub.example.org\n', smtproutes: ':relay.example.org\n' });
  const tls = join(home, 'control/tls');
  mkdirSync(tls);
  writeFileSync(join(tls, 'hub.pem'), made.cert);
  writeFileSync(join(tls, 'hub.key'), made.key, { mode: 0o600 });
  writeFileSync(join(tls, 'ca.pem'), made.cert);
  const hub = await HubProcess.start(home);
  const line = `qmqps://127.0.0.1:${hub.port} hub`;
  writeFileSync(join(home, 'control/qmqpservers'), `${line} name=hub.example.org\n`);
  try {
    const soon = /^warning tls \S+ its certificate expires on 20\S+, in 1 day$/;
    const found = troubles(await look(home));
    for (const text of found) assert.match(text, soon);
    assert.ok(found.some((text) => text.includes('qmqps://127.0.0.1')));
    writeFileSync(join(home, 'control/qmqpservers'), `${line}\n`);
    const others = troubles(await look(home)).filter((text) => !soon.test(text));
    assert.equal(others.length, 1, others.join('\n'));
    assert.match(others[0]!, /^error servers qmqps:\S+ cannot be trusted .* for another name/);
  } finally {
    await hub.end();
    removeHome(home);
    made.remove();
  }
});

test('mini-qmail doctor finds a gateway and a hub that are open to the world, or do not run', async () => {
  const home = makeHome({
    me: 'hub.example.org\n',
    smtproutes: ':relay.example.org\n',
    qmqpclients: '0.0.0.0/0\n',
  });
  const gateway = fresh();
  const server = createServer(
    (socket) => void socket.on('error', () => undefined).once('data', () => socket.destroy()),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  try {
    await (await HubProcess.start(home)).end();
    const before = readdirSync(home, { recursive: true });
    const [open, still, ...more] = troubles(await look(home));
    assert.deepEqual(more, []);
    assert.match(open!, /^error hub control\/qmqpclients lets the whole world send/);
    assert.match(still!, /^error hub hub does not run/);
    assert.deepEqual(readdirSync(home, { recursive: true }), before);
    const servers = ['--server', `qmqp://127.0.0.1:${port}`, '--me', 'gate.example.org'];
    installed(gateway, '--role', 'gateway', ...servers);
    const [relay, ...others] = troubles(await look(gateway));
    assert.match(relay!, /^error gateway control\/rcpthosts is missing: everybody may send/);
    assert.deepEqual(others, []);
  } finally {
    server.close();
    removeHome(home);
    rmSync(gateway, { recursive: true });
  }
});

test('mini-qmail doctor prints lines for people, and refuses words that it does not know', async () => {
  const { status, stdout } = await miniQmail('doctor', '--home', '/nonexistent');
  assert.equal(status, 1);
  assert.match(
    stdout,
    /^error {4}control {2,}\/nonexistent\/control {2,}cannot be read: file does not exist\n {2,}do: /m,
  );
  assert.match(stdout, /\n\d+ errors?, \d+ warnings?, \d+ notes?, \d+ ok\n$/);
  const wrong = await miniQmail('doctor', '--sned', 'a@b');
  assert.deepEqual([wrong.status, wrong.stdout], [100, '']);
});
