// Our rblsmtpd does what that of ucspi-tcp does: same clients, same lists, same words.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ROOT } from '../support/client-vectors.ts';
import { type FakeDnsServer, startFakeDns } from '../support/fake-dns-server.ts';
import { findPeer, missingPeers, skipUnless } from '../support/peers.ts';
import { ended } from '../support/server-vectors.ts';

const HOST = '127.7.11.1';
const skip =
  missingPeers('rblsmtpd') || skipUnless(process.getuid?.() === 0 ? [] : ['only root may answer on port 53']);
let dns: FakeDnsServer | undefined;

before(async () => {
  if (skip !== false) return;
  const zone = {
    '7.2.0.192.list.example TXT': ['Listed\xe9 here'],
    '7.2.0.192.long.example TXT': ['x'.repeat(250)],
    '7.2.0.192.good.example A': ['127.0.0.2'],
    '7.2.0.192.broken.example TXT': 'SERVFAIL',
  } as const;
  dns = await startFakeDns({ host: HOST, port: 53, zone });
});
after(() => dns?.stop());

const CLIENT = 'HELO x\r\nmail from:<>\nRCPT TO:<a@b>\r\nDATA\r\nQUIT\r\nNOOP\r\n';
const ROWS: [string, { readonly [name: string]: string }][] = [
  ['echo in', {}],
  ['echo in', { RBLSMTPD: '' }],
  ['echo in', { RBLSMTPD: 'No thanks' }],
  ['echo in', { RBLSMTPD: '-No\tthanks' }],
  ['echo in', { RBLSMTPD: '-' }],
  ['-t 0 echo in', { RBLSMTPD: 'No' }],
  ['-r list.example echo in', {}],
  ['-b -r list.example echo in', {}],
  ['-r list.example -b echo in', {}],
  ['-b -B -rlist.example echo in', {}],
  ['-r long.example echo in', {}],
  ['-r other.example -b -r list.example echo in', {}],
  ['-a good.example -r list.example echo in', {}],
  ['-r list.example -a good.example echo in', {}],
  ['-b -r broken.example -r list.example echo in', {}],
  ['-r list.example echo in', { TCPREMOTEIP: '192.0.2.8' }],
  ['/nonexistent/program', {}],
];

// One failing look-up is enough here: the original takes eleven seconds for each.
describe('rblsmtpd as the original', { concurrency: 4 }, () => {
  for (const [args, env] of ROWS) {
    test(`${args} with ${JSON.stringify(env)}`, { skip }, async () => {
      const runs = [findPeer('rblsmtpd') ?? '', join(ROOT, 'bin/rblsmtpd')].map(async (program) => {
        const variables = { PATH: '/usr/bin:/bin', DNSCACHEIP: HOST, TCPREMOTEIP: '192.0.2.7', ...env };
        const child = spawn(program, args.split(' '), { env: variables });
        child.stdin.on('error', () => {});
        child.stdin.end(CLIENT);
        const { exit, stdout, stderr } = await ended(child);
        return { exit, stdout, stderr: stderr.replace(/ pid \d+:/, ' pid PID:') };
      });
      const [theirs, ours] = await Promise.all(runs);
      assert.deepEqual(ours, theirs);
    });
  }
});
