// qbiff with login records and terminals of the test's making: files take the place of terminals.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../support/client-vectors.ts';

const RECORD_BYTES = process.arch === 'arm64' ? 400 : 384;
const MODULE = join(ROOT, 'src/client/qbiff.ts');
const WORDS = join(ROOT, 'src/host/program-words.ts');

function record(line: string, user: string): Buffer {
  const bytes = Buffer.alloc(RECORD_BYTES);
  bytes.writeUInt16LE(7);
  bytes.write(line, 8, 'latin1');
  bytes.write(user, 44, 'latin1');
  return bytes;
}

/** What each terminal shows after qbiff was run on a message; names to modes. */
function notify(terminals: { [name: string]: number }, logins: Buffer[], input: string, env: object): object {
  const folder = mkdtempSync(join(tmpdir(), 'qbiff-'));
  try {
    const places = { records: join(folder, 'utmp'), devices: join(folder, 'dev') };
    mkdirSync(join(places.devices, 'pts'), { recursive: true });
    writeFileSync(places.records, Buffer.concat(logins));
    for (const [name, mode] of Object.entries(terminals)) {
      writeFileSync(join(places.devices, name), '');
      chmodSync(join(places.devices, name), mode);
    }
    const source = `import { runQbiff } from ${JSON.stringify(MODULE)};
      import { readWords } from ${JSON.stringify(WORDS)};
      runQbiff(readWords(), ${JSON.stringify(places)});`;
    const run = spawnSync(process.execPath, ['--input-type=module', '-e', source], {
      input: Buffer.from(input, 'latin1'),
      env: env as NodeJS.ProcessEnv,
    });
    assert.deepEqual([run.status, run.stdout.toString(), run.stderr.toString()], [0, '', '']);
    return Object.fromEntries(
      Object.keys(terminals).map((name) => [name, readFileSync(join(places.devices, name), 'latin1')]),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const ENV = { USER: 'joe', LOCAL: 'joe-x', SENDER: 'a\x1b@b' };

test('qbiff writes subject and body to the terminals of the user that are open for it', () => {
  const shown = notify(
    { 'pts/1': 0o700, 'pts/2': 0o600, 'pts/3': 0o700, 'pts/4.x': 0o700 },
    [record('pts/1', 'joe'), record('pts/2', 'joe'), record('pts/3', 'jim'), record('pts/4.x', 'joe')],
    `From: x\nSubject: Hi\x07\n\n${'b'.repeat(100)}\n`,
    ENV,
  );
  const first = '\r\n\x07*** TO <joe-x> FROM <a_@b>\r\n';
  assert.deepEqual(shown, {
    'pts/1': `${first}    Hi///${'b'.repeat(69)}\r\n`,
    'pts/2': '',
    'pts/3': '',
    'pts/4.x': '',
  });
});

test('qbiff does nothing without its variables, or when a terminal is gone', () => {
  const logins = [record('pts/9', 'joe'), record('pts/1', 'joe')];
  assert.deepEqual(notify({ 'pts/1': 0o700 }, logins, 'Subject: s\n', { USER: 'joe' }), { 'pts/1': '' });
  assert.deepEqual(notify({ 'pts/1': 0o700 }, logins, 'Subject: s\n', ENV), {
    'pts/1': '\r\n\x07*** TO <joe-x> FROM <a_@b>\r\n    s/\r\n',
  });
});
