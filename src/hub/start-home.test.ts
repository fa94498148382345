import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { parseControlList } from '../core/format/control-file.ts';
import { parseServerEntries } from '../core/format/server-list.ts';
import { SystemError } from '../host/system-error.ts';
import { prepareHome, writeServers } from './start-home.ts';

let folder: string;
let home: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'start-home-'));
  home = join(folder, 'new/home');
});
afterEach(() => rmSync(folder, { recursive: true }));

function control(name: string): string {
  return readFileSync(join(home, 'control', name), 'latin1');
}

test('prepareHome() makes a home with a name that has a domain', () => {
  const me = prepareHome(home);
  assert.match(me, /^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/);
  assert.deepEqual(readdirSync(join(home, 'control')).sort(), ['defaultdomain', 'locals', 'me']);
  assert.equal(control('me'), `${me}\n`);
  assert.equal(control('locals'), `${me}\nlocalhost\n`);
  assert.equal(control('defaultdomain'), `${me.slice(me.indexOf('.') + 1)}\n`);
});

test('prepareHome() changes nothing that is there, and goes by it', () => {
  mkdirSync(join(home, 'control'), { recursive: true });
  writeFileSync(join(home, 'control/me'), 'mail.own.example\n');
  writeFileSync(join(home, 'control/locals'), '');
  assert.equal(prepareHome(home), 'mail.own.example');
  assert.deepEqual(
    [control('me'), control('locals'), control('defaultdomain')],
    ['mail.own.example\n', '', 'own.example\n'],
  );
  assert.equal(prepareHome(home), 'mail.own.example');
});

test('prepareHome() says what it could not make', () => {
  writeFileSync(join(folder, 'file'), '');
  assert.throws(
    () => prepareHome(join(folder, 'file/home')),
    (error) =>
      error instanceof SystemError && error.message.startsWith(`Cannot prepare ${folder}/file/home: ENOTDIR`),
  );
});

test('writeServers() writes a line that clients understand, and again with another port', () => {
  prepareHome(home);
  const rows: [string, number, string][] = [
    ['127.0.0.1', 40000, 'qmqp://127.0.0.1:40000'],
    ['127.0.0.1', 628, '127.0.0.1'],
    ['::1', 628, 'qmqp://[::1]:628'],
  ];
  for (const [host, port, line] of rows) {
    writeServers(home, { host, port });
    assert.equal(control('qmqpservers').split('\n').slice(1).join('\n'), `${line}\n`);
    const servers = parseServerEntries(parseControlList(readFileSync(join(home, 'control/qmqpservers'))));
    assert.deepEqual(servers, [{ host, port }]);
  }
});

test("writeServers() leaves an administrator's file alone", () => {
  prepareHome(home);
  writeFileSync(join(home, 'control/qmqpservers'), '192.0.2.1\n');
  writeServers(home, { host: '127.0.0.1', port: 1 });
  assert.equal(control('qmqpservers'), '192.0.2.1\n');
});

test('prepareHome() fails, and ends, where no folder can be made', () => {
  assert.throws(() => prepareHome('/proc/mini-qmail/home'), SystemError);
});
