// The golden vectors of qmail-qmqpd: the built program with a recorder as queue program, its connection once a pair of
// pipes, once files, once a TCP socket as both descriptors, as under tcpserver.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ROOT } from '../support/client-vectors.ts';
import { startFakeServer } from '../support/fake-qmqp-server.ts';
import {
  CONNECTIONS,
  compareQueueRuns,
  ended,
  isRecent,
  prepareServerCase,
  queuePids,
  type ServerCase,
} from '../support/server-vectors.ts';

/** A reply with the time, the given pid and a right length replaced by their placeholders. */
function normalised(reply: string, pid: string | undefined): string {
  const accepted = /^(\d+):Kok (\d+) qp (\d+),$/.exec(reply);
  if (accepted === null || accepted[3] !== pid) return reply;
  const lengthIsRight = reply.length === Number(accepted[1]) + `${accepted[1]}:,`.length;
  return lengthIsRight && isRecent(accepted[2]!) ? '@LEN@:Kok @TIME@ qp @QP@,' : reply;
}

const cases: ServerCase[] = JSON.parse(readFileSync(join(ROOT, 'test/vectors/qmail-qmqpd.json'), 'utf8'));

for (const [connection, run] of Object.entries(CONNECTIONS)) {
  describe(`qmail-qmqpd on ${connection}`, { concurrency: 3 }, () => {
    for (const vector of cases) {
      test(vector.name, async () => {
        const folder = prepareServerCase('qmail-qmqpd', vector);
        try {
          const { exit, server, stderr } = await run(folder, vector);
          assert.deepEqual([exit, stderr], [vector.expect.exit, vector.expect.stderr]);
          assert.equal(normalised(server, queuePids(folder)[0]), vector.expect.server);
          compareQueueRuns(folder, vector.expect.queue);
        } finally {
          rmSync(folder, { recursive: true });
        }
      });
    }
  });
}

for (const [letter, reply] of [
  ['K', /^\d+:Kok \d+ qp \d+,$/],
  ['Z', /^50:Zmail server temporarily rejected message \(#4\.3\.0\),$/],
  ['D', /^50:Dmail server permanently rejected message \(#5\.3\.0\),$/],
] as const) {
  test(`qmail-qmqpd hands a message to our own QMQP client in its process, and relays ${letter}`, async () => {
    const server = await startFakeServer('127.0.0.1', 0, [
      ['read_all'],
      ['send', `2:${letter}x,`],
      ['close'],
    ]);
    const folder = mkdtempSync(join(tmpdir(), 'qmqpd-relay-'));
    try {
      const home = join(folder, 'home');
      mkdirSync(join(home, 'control'), { recursive: true });
      mkdirSync(join(home, 'bin'));
      symlinkSync(join(ROOT, 'bin/qmail-qmqpc'), join(home, 'bin/qmail-queue'));
      writeFileSync(join(home, 'control/qmqpservers'), `qmqp://127.0.0.1:${server.port}\n`);
      const child = spawn(join(ROOT, 'bin/qmail-qmqpd'), {
        env: { QMAILHOME: home, TCPREMOTEIP: '192.0.2.7' },
      });
      child.stdin.end('15:2:m\n,1:s,3:r@y,,');
      const { exit, stdout, stderr } = await ended(child);
      assert.deepEqual([exit, stderr], [0, '']);
      assert.match(stdout, reply);
      const field = String.raw`Received: from unknown \(192\.0\.2\.7\)\n  by unknown with QMQP; .* -0000\n`;
      assert.match(server.received.join(), new RegExp(String.raw`^\d+:\d+:${field}m\n,1:s,3:r@y,,$`));
    } finally {
      rmSync(folder, { recursive: true });
      await server.stop();
    }
  });
}
