// The hub with rules that tcprules has made in place of control/qmqpclients.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { ROOT } from '../support/client-vectors.ts';
import { exchange, HubProcess, makeHome, removeHome, submit } from '../support/hub-process.ts';

let home: string;
let rules: string;
let hub: HubProcess;

function compile(input: string): void {
  const { status } = spawnSync(join(ROOT, 'bin/tcprules'), [rules, `${rules}.tmp`], { input });
  assert.equal(status, 0);
}

before(async () => {
  home = makeHome({ locals: 'hub.example\n', qmqpclients: '0.0.0.0/0\n' });
  rules = join(home, 'qmqp.cdb');
  hub = await HubProcess.start(home, undefined, 0, ['--rules', rules, '--check', '127.0.0.1:0']);
});
after(async () => {
  await hub.end('SIGKILL');
  removeHome(home);
});

const send = () => submit(hub.port, 'x'.repeat(100), 's@hub.example', 'a@hub.example');
const ask = () => exchange(hub.checkPort, Buffer.from('11:recipient a,x'));

it('nobody may connect before there are rules, nor once they are gone or deny it', async () => {
  assert.deepEqual([await send(), await ask()], ['', '']);
  await hub.untilLogged(/^qmqp\.refused ip=127\.0\.0\.1 reason="Cannot read .*qmqp\.cdb: ENOENT/m);
  compile('127.:allow\n:deny\n');
  assert.match(await send(), /^Kok /);
  assert.equal(await ask(), '8:OK taken,');
  compile('10.:allow\n:deny\n');
  assert.deepEqual([await send(), await ask()], ['', '']);
  await hub.untilLogged(/^check\.refused ip=127\.0\.0\.1 reason="denied by .*qmqp\.cdb"/m);
  compile('127.:allow\n');
  assert.match(await send(), /^Kok /);
  rmSync(rules);
  assert.equal(await send(), '');
});

it('a rule has its own size of messages', async () => {
  compile('127.0.0.1:allow,DATABYTES="99"\n');
  assert.match(await send(), /^Dsorry, that message exceeds my size limit/);
  compile('127.0.0.1:allow,DATABYTES="100"\n');
  assert.match(await send(), /^Kok /);
});
