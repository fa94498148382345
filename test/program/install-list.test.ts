// The list host: beside a complete qmail, a second tree whose queue program is the QMQP client, so that a message for thousands
// goes to a better connected server in one exchange. Its own qmail must stay as it is, to the byte.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { describe, it } from 'node:test';
import { startFakeServer } from '../support/fake-qmqp-server.ts';
import { HubProcess, makeHome, removeHome } from '../support/hub-process.ts';
import { fresh, install, installed, run } from '../support/run-install.ts';

describe('mini-qmail install --role list', () => {
  const RECIPIENTS = Array.from({ length: 1000 }, (_, i) => `subscriber${i}@host${i}.example`);
  const MESSAGE = 'From: ann@example.org\nTo: list@host\nSubject: news\n\nHello.\n';

  /** Installs the role, its server being a port of this host. */
  function installList(prefix: string, listPrefix: string, port: number): void {
    const server = `qmqp://127.0.0.1:${port}`;
    installed(prefix, '--role', 'list', '--list-prefix', listPrefix, '--server', server);
  }

  /** What the list manager does: message on descriptor 0, a VERP envelope on 1, the exit code as the answer. */
  async function post(listPrefix: string, env: NodeJS.ProcessEnv = {}): Promise<number | null> {
    const child = spawn(join(listPrefix, 'bin/qmail-queue'), [], {
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin.on('error', () => {});
    child.stdin.end(MESSAGE);
    const envelope = child.stdout as unknown as Writable;
    envelope.on('error', () => {});
    envelope.end(`Flist-@host-@[]\0${RECIPIENTS.map((recipient) => `T${recipient}\0`).join('')}\0`);
    const [exit] = await once(child, 'exit');
    return exit;
  }

  /** A complete qmail of which only a few files matter. */
  function makeQmail(names: readonly string[]): string {
    const prefix = fresh();
    for (const part of ['bin', 'control', 'queue', 'man/man8'])
      mkdirSync(join(prefix, part), { recursive: true });
    for (const name of names)
      writeFileSync(join(prefix, 'bin', name), `#!/bin/sh\necho ${name}\n`, { mode: 0o755 });
    writeFileSync(join(prefix, 'control/me'), 'lists.example.org\n');
    writeFileSync(join(prefix, 'man/man8/qmail-qmqpc.8'), '.Dd\n');
    return prefix;
  }

  const tree = (prefix: string) =>
    Object.fromEntries(
      readdirSync(prefix, { recursive: true, encoding: 'utf8' })
        .filter((name) => lstatSync(join(prefix, name)).isFile())
        .map((name) => [name, readFileSync(join(prefix, name), 'latin1')]),
    );

  it('takes 1,000 recipients to a hub in one exchange, and is temporary when the hub is down', async () => {
    const prefix = makeQmail(['qmail-queue', 'qmail-inject', 'sendmail']);
    const listPrefix = fresh();
    const before = tree(prefix);
    const server = await startFakeServer('127.0.0.1', 0, [['read_all'], ['send', '2:Kk,'], ['close']]);
    installList(prefix, listPrefix, server.port);
    assert.deepEqual(readdirSync(join(listPrefix, 'bin')), ['qmail-queue']);
    assert.deepEqual(readdirSync(listPrefix), ['bin', 'control']);
    assert.equal(readlinkSync(join(listPrefix, 'bin/qmail-queue')), join(prefix, 'bin/qmail-qmqpc'));
    try {
      assert.equal(await post(listPrefix), 0);
      assert.equal(await post(listPrefix, { QMAILHOME: listPrefix }), 0);
      assert.equal(server.received.length, 2);
      const parts = [MESSAGE, 'list-@host-@[]', ...RECIPIENTS]
        .map((part) => `${part.length}:${part},`)
        .join('');
      for (const request of server.received)
        assert.equal(request.toString('latin1'), `${parts.length}:${parts},`);
    } finally {
      await server.stop();
    }
    const exit = await post(listPrefix);
    assert.ok(exit !== null && exit >= 71 && exit <= 74, `exit ${exit}`);
    for (const [name, content] of Object.entries(before)) assert.equal(tree(prefix)[name], content, name);
    assert.equal(run(['uninstall', '--prefix', prefix]).status, 0);
    assert.deepEqual(tree(prefix), before);
    assert.equal(existsSync(listPrefix), false);
  });

  it('is understood by our hub, one message with all recipients', async () => {
    const home = makeHome({ concurrencyremote: '0\n' });
    const hub = await HubProcess.start(home);
    try {
      const [prefix, listPrefix] = [fresh(), fresh()];
      installList(prefix, listPrefix, hub.port);
      assert.equal(await post(listPrefix), 0);
      await hub.untilLogged(/^accepted .*sender=list-@host-@\[\] recipients=1000 /m);
    } finally {
      await hub.end();
      removeHome(home);
    }
  });

  it("uses the qmail-qmqpc of the host's own qmail if there is one, and installs none", () => {
    const prefix = makeQmail(['qmail-queue', 'qmail-qmqpc']);
    const listPrefix = fresh();
    const stdout = installed(
      prefix,
      '--role',
      'list',
      '--list-prefix',
      listPrefix,
      '--server',
      '192.0.2.1',
      '--force',
    );
    assert.match(stdout, new RegExp(`^keep ${prefix}/bin/qmail-qmqpc: it is this host's own qmail's`, 'm'));
    assert.equal(run([], join(listPrefix, 'bin/qmail-queue')).stdout, 'qmail-qmqpc\n');
    assert.equal(readFileSync(join(prefix, 'control/qmqpservers'), 'utf8'), '192.0.2.1\n');
    assert.equal(installed(prefix).split('\n').at(-2), 'nothing to do');
    const again = [
      'install',
      '--role',
      'list',
      '--prefix',
      makeQmail(['qmail-qmqpc']),
      '--list-prefix',
      fresh(),
    ];
    assert.doesNotMatch(run([...again, '--server', '192.0.2.1']).stdout, /\/lib\/mini-qmail\/node/);
  });

  it('never puts itself in place of another queue program', () => {
    const listPrefix = fresh();
    mkdirSync(join(listPrefix, 'bin'), { recursive: true });
    writeFileSync(join(listPrefix, 'bin/qmail-queue'), 'original');
    assert.equal(install(fresh(), '--role', 'list', '--list-prefix', listPrefix).status, 100);
    assert.equal(readFileSync(join(listPrefix, 'bin/qmail-queue'), 'utf8'), 'original');
  });
});
