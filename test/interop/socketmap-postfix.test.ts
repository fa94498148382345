// Postfix's own client of socketmap tables asks our hub for recipients.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { HubProcess, makeHome, removeHome } from '../support/hub-process.ts';
import { findPeer, missingPeers } from '../support/peers.ts';

describe('postmap asks our hub', { skip: missingPeers('postmap') }, () => {
  let folder: string;
  let home: string;
  let hub: HubProcess;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'postmap-'));
    writeFileSync(join(folder, 'main.cf'), 'compatibility_level = 3.6\n');
    home = makeHome({ locals: 'hub.example\n', recipients: 'ann@hub.example\n' });
    hub = await HubProcess.start(home, undefined, 0, ['--check', '127.0.0.1:0']);
  });
  after(async () => {
    await hub.end('SIGKILL');
    removeHome(home);
    rmSync(folder, { recursive: true });
  });

  /** Runs postmap; several keys stand on lines of its input. */
  function query(key: string, { input = '', map = 'recipient' } = {}): string {
    const table = `socketmap:inet:127.0.0.1:${hub.checkPort}:${map}`;
    const words = ['-c', folder, '-q', key, table];
    const { status, stdout, stderr } = spawnSync(findPeer('postmap')!, words, { input, encoding: 'latin1' });
    return `${status} ${stdout}${stderr}`;
  }

  it('for one that exists, one that does not, and one of another domain', () => {
    assert.equal(query('ann@hub.example'), '0 taken\n');
    assert.equal(query('eve@hub.example'), '1 ');
    assert.equal(query('any@far.example'), '0 taken\n');
  });

  it('for a thousand on one connection', () => {
    const keys = Array.from({ length: 1000 }, (_, i) =>
      i % 10 === 0 ? 'ann@hub.example' : `u${i}@hub.example`,
    );
    const answers = query('-', { input: `${keys.join('\n')}\n` });
    assert.equal(answers, `0 ${'ann@hub.example\ttaken\n'.repeat(100)}`);
  });

  it('in a map that there is not, and is told so', () => {
    assert.match(query('ann@hub.example', { map: 'other' }), /^1 .*no other map than "recipient"/s);
  });
});
