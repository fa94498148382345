// qmail-qread and qmail-qstat as an administrator runs them, with a running hub and without one.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { formatQread } from '../../src/hub/qread.ts';
import { ROOT } from '../support/client-vectors.ts';
import { HubProcess, makeHome, removeHome, submit } from '../support/hub-process.ts';

function run(name: string, home: string): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(join(ROOT, 'bin', name), [], {
    env: { QMAILHOME: home },
    encoding: 'latin1',
  });
  return { status, stdout, stderr };
}

const ACCEPTED = '2026-11-05T07:08:09.123Z';

describe('formatQread()', () => {
  it('shows a message as qmail-qread does', () => {
    const text = formatQread({
      ...{ id: 42, accepted: ACCEPTED, bytes: 97, sender: 'joe@mx.example.org' },
      nextAttempt: {},
      recipients: [
        { address: 'perm@remote.example', channel: 'remote', state: 'failed' },
        { address: 'temp@remote.example', channel: 'remote', state: 'todo' },
        { address: 'slow@mx.example.org', channel: 'local', state: 'todo' },
        { address: 'good@mx.example.org', channel: 'local', state: 'done' },
      ],
    });
    assert.equal(
      text,
      `5 Nov 2026 07:08:09 GMT  #42  97  <joe@mx.example.org>  bouncing
\tlocal\tslow@mx.example.org
  done\tlocal\tgood@mx.example.org
  done\tremote\tperm@remote.example
\tremote\ttemp@remote.example
`,
    );
  });

  it('leaves out a channel that is done, and shows what cannot be printed as underscores, one for each byte', () => {
    const text = formatQread({
      ...{ id: 1, accepted: ACCEPTED, bytes: 1, sender: 'a b\n\u00e9\ufffd\x7f@h' },
      nextAttempt: {},
      recipients: [
        { address: 'x@y', channel: 'local', state: 'done' },
        { address: '%@y', channel: 'remote', state: 'todo' },
      ],
    });
    assert.equal(text, '5 Nov 2026 07:08:09 GMT  #1  1  <a b_____@h> \n\tremote\t%@y\n');
  });
});

describe('qmail-qread and qmail-qstat', () => {
  it('say the same whether a hub runs or not', async () => {
    const home = makeHome({ concurrencyremote: '0\n', concurrencylocal: '0\n' });
    const hub = await HubProcess.start(home);
    try {
      assert.deepEqual(run('qmail-qread', home), { status: 0, stdout: '', stderr: '' });
      await submit(hub.port, 'x', 'a@b.example', 'one@remote.example', 'joe@hub.example');
      await submit(hub.port, 'x', '', 'two@remote.example');
      const shown = run('qmail-qread', home);
      const head = /^\d+ \w{3} \d{4} [\d:]{8} GMT {2}#(\d+) {2}\d+ {2}<(.*)> $/gm;
      assert.deepEqual(
        [...shown.stdout.matchAll(head)].map(([, id, sender]) => [id, sender]),
        [
          ['1', 'a@b.example'],
          ['2', ''],
        ],
      );
      assert.equal(
        shown.stdout.replaceAll(head, 'MESSAGE'),
        'MESSAGE\n\tlocal\tjoe@hub.example\n\tremote\tone@remote.example\nMESSAGE\n\tremote\ttwo@remote.example\n',
      );
      const counted = run('qmail-qstat', home);
      const stdout = 'messages in queue: 2\nmessages in queue but not yet preprocessed: 0\n';
      assert.deepEqual(counted, { status: 0, stdout, stderr: '' });
      await hub.end();
      assert.deepEqual(run('qmail-qread', home), shown);
      assert.deepEqual(run('qmail-qstat', home), counted);
    } finally {
      await hub.end('SIGKILL');
      removeHome(home);
    }
  });

  it('say so when there is no queue to read', () => {
    const home = makeHome();
    try {
      const none = { status: 111, stdout: `fatal: Cannot use ${home}/queue: `, stderr: '' };
      const shown = run('qmail-qread', home);
      assert.deepEqual({ ...shown, stdout: shown.stdout.slice(0, none.stdout.length) }, none);
      mkdirSync(join(home, 'queue'));
      writeFileSync(
        join(home, 'queue/index.sqlite'),
        'this is no database, but long enough to be looked at'.repeat(9),
      );
      const counted = run('qmail-qstat', home);
      assert.equal(counted.status, 111);
      assert.match(counted.stderr, /^qmail-qstat: fatal: Cannot .*index\.sqlite/);
    } finally {
      removeHome(home);
    }
  });
});
