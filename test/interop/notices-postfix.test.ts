// Requests to be told, handed on to Postfix: its queue file shows that they arrived, for each recipient its own.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesOf } from '../../src/core/bytes/bytes.ts';
import { NOTIFY } from '../../src/core/policy/notification.ts';
import { SmtpTransport } from '../../src/delivery/remote-smtp.ts';
import { SYSTEM_CLOCK } from '../../src/host/clock.ts';
import { findPeer, freePort } from '../support/peers.ts';
import { missingPostfix, startPostfix } from '../support/postfix.ts';

test('Postfix takes what a sender asked for', { skip: missingPostfix() }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'notices-postfix-'));
  // Postfix's own user has to get at its queue.
  chmodSync(folder, 0o755);
  const port = await freePort();
  const { conf, stop } = await startPostfix(folder, port, { service: 'smtpd' });
  const transport = new SmtpTransport({
    ...{ heloName: 'me.example', timeoutConnectMs: 9000, timeoutRemoteMs: 9000, clock: SYSTEM_CLOCK },
    lookUp: { ownAddresses: () => new Set() },
  });
  try {
    const { outcomes, passedOn } = await transport.deliver({
      destination: { key: 'k', host: '127.0.0.1', port, routed: true },
      sender: bytesOf('s@a.example'),
      recipients: ['ann@far.example', 'bob@far.example', 'eve@far.example'].map(bytesOf),
      message: bytesOf('Subject: t\n\nbody\n'),
      dsn: {
        message: { ret: 'hdrs', envid: 'my+2Bid' },
        recipients: [
          { notify: NOTIFY.success | NOTIFY.delay, orcpt: 'rfc822;ann+2Bold@x.example' },
          undefined,
          { notify: 0 },
        ],
      },
    });
    assert.deepEqual(
      outcomes.map(({ letter }) => letter),
      ['K', 'K', 'K'],
    );
    assert.equal(passedOn, true);
    const incoming = join(folder, 'queue/incoming');
    const [file = ''] = readdirSync(incoming);
    const shown = execFileSync(findPeer('postcat') ?? '', [
      '-c',
      conf,
      '-e',
      join(incoming, file),
    ]).toString();
    const facts = shown
      .split('\n')
      .flatMap((line) => /: +(.*(?:envelope_id|_flags|_rcpt)=.*)/.exec(line)?.[1] ?? []);
    // Its words: 2 is for the header alone; of notices 1 is never, 2 success, 4 failure, 8 delay.
    assert.deepEqual(facts, [
      'envelope_id=my+id',
      'ret_flags=2',
      'notify_flags=10',
      'dsn_orig_rcpt=rfc822;ann+old@x.example',
      'dsn_orig_rcpt=rfc822;bob@far.example',
      'notify_flags=1',
      'dsn_orig_rcpt=rfc822;eve@far.example',
    ]);
  } finally {
    await transport.close();
    await stop();
    rmSync(folder, { recursive: true });
  }
});
