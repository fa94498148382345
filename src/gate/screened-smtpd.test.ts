import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startFakeDns } from '../../test/support/fake-dns-server.ts';
import { skipUnless } from '../../test/support/peers.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { runScreenedSmtpd } from './screened-smtpd.ts';

const HOST = '127.7.10.1';
const ZONE = {
  '7.2.0.192.list.example TXT': ['Listed, see example'],
  '7.2.0.192.good.example A': ['127.0.0.2'],
  '7.2.0.192.broken.example TXT': 'SERVFAIL',
} as const;

let home: string;
before(() => {
  home = mkdtempSync(join(tmpdir(), 'screened-smtpd-'));
  mkdirSync(join(home, 'control'));
  writeFileSync(join(home, 'control/me'), 'mx.example\n');
});
after(() => rmSync(home, { recursive: true }));

/** Replies, without their line ends, to a client that says `pieces` one after the other; numbers let seconds pass. */
async function session(env: object, pieces: (string | number)[]): Promise<string[]> {
  const clock = new ManualClock();
  const replies: string[] = [];
  await runScreenedSmtpd({
    input: {
      async read() {
        for (let piece = pieces.shift(); piece !== undefined; piece = pieces.shift()) {
          if (typeof piece === 'string') return Buffer.from(piece);
          const seconds = piece;
          await new Promise(setImmediate);
          clock.advance(seconds * 1000);
          await new Promise(setImmediate);
        }
        return undefined;
      },
    },
    output: {
      async write(parts) {
        replies.push(
          ...Buffer.concat(parts)
            .toString()
            .split('\r\n')
            .filter((line) => line !== ''),
        );
        return true;
      },
    },
    env: { TCPREMOTEIP: '192.0.2.7', DNSCACHEIP: HOST, ...env },
    ...{ home, ownBin: '/nowhere', clock },
  });
  return replies;
}

const CLIENT = ['HELO x\r\nRCPT TO:<a@b>\r\nQUIT\r\n'];
const REFUSED = (line: string) => ['220 rblsmtpd.local', '250 rblsmtpd.local', line, '221 rblsmtpd.local'];
const SERVED = '220 mx.example ESMTP';

test('without lists and delay it is qmail-smtpd, whatever RBLSMTPD says', async () => {
  assert.equal((await session({ RBLSMTPD: 'No' }, CLIENT.slice()))[0], SERVED);
  assert.equal((await session({ RBL: ' ', GREETDELAY: '0' }, CLIENT.slice()))[0], SERVED);
});

test('RBLSMTPD goes before lists', async () => {
  const RBL = 'list.example';
  assert.deepEqual(await session({ RBL, RBLSMTPD: '-No' }, CLIENT.slice()), REFUSED('553 No'));
  assert.equal((await session({ RBL, RBLSMTPD: '' }, CLIENT.slice()))[0], SERVED);
});

const notRoot = skipUnless(process.getuid?.() === 0 ? [] : ['only root may answer on port 53']);

test('lists are asked in order, and a failed look-up refuses nobody for good', {
  skip: notRoot,
}, async () => {
  const dns = await startFakeDns({ host: HOST, port: 53, zone: ZONE });
  const rows: [string, string | undefined][] = [
    ['list.example', '451 Listed, see example'],
    ['-list.example', '553 Listed, see example'],
    ['other.example -list.example', '553 Listed, see example'],
    ['+good.example list.example', undefined],
    ['list.example +good.example', '451 Listed, see example'],
    ['broken.example', undefined],
    ['broken.example -list.example', '451 Listed, see example'],
  ];
  try {
    for (const [RBL, line] of rows) {
      const replies = await session({ RBL }, CLIENT.slice());
      if (line === undefined) assert.equal(replies[0], SERVED, RBL);
      else assert.deepEqual(replies, REFUSED(line), RBL);
    }
  } finally {
    await dns.stop();
  }
});

test('a client that speaks before the greeting is refused for now, one that waits is served', async () => {
  const early = ['HELO x\r\n', 'RCPT TO:<a@b>\r\nQUIT\r\n'];
  assert.deepEqual(await session({ GREETDELAY: '5' }, early), REFUSED('451 You spoke before the greeting'));
  const late = await session({ GREETDELAY: '5' }, [5, ...CLIENT]);
  assert.deepEqual([late[0], late.at(-1)], [SERVED, '221 mx.example']);
  assert.deepEqual(await session({ GREETDELAY: '5' }, []), []);
});
