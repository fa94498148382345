// The golden vectors of qmail-smtpd: the built program with a recorder as queue program, its connection once a pair of
// pipes and once a TCP socket as both descriptors, as under tcpserver; and the same session in this process.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { QueueProgram } from '../../src/client/queue-program.ts';
import { concatBytes, copyBytes } from '../../src/core/bytes/bytes.ts';
import { parseQueueEnvelope } from '../../src/core/format/queue-envelope.ts';
import { runSmtpd } from '../../src/gate/run-smtpd.ts';
import { ManualClock } from '../../src/host/manual-clock.ts';
import { ROOT } from '../support/client-vectors.ts';
import { startFakeServer } from '../support/fake-qmqp-server.ts';
import {
  CONNECTIONS,
  compareQueueRun,
  compareQueueRuns,
  ended,
  expectedOfNetqmail,
  isRecent,
  prepareServerCase,
  type QueueBehaviour,
  queuePids,
  type ServerCase,
  writeControl,
} from '../support/server-vectors.ts';

const cases: ServerCase[] = JSON.parse(readFileSync(join(ROOT, 'test/vectors/qmail-smtpd.json'), 'utf8'));

/** Replies with times and the pids, in their order, replaced by placeholders. */
function normalised(replies: string, pids: readonly string[]): string {
  const waiting = pids.slice();
  return replies.replace(/^250 ok (\d+) qp (\d+)\r$/gm, (line, time: string, pid: string) => {
    while (waiting.length > 0 && waiting[0] !== pid) waiting.shift();
    return waiting.shift() === pid && isRecent(time) ? '250 ok @TIME@ qp @QP@\r' : line;
  });
}

for (const connection of ['pipes', 'a socket'] as const) {
  describe(`qmail-smtpd on ${connection}`, { concurrency: 3 }, () => {
    // A pipe from a file cannot be held open.
    for (const vector of cases.filter((one) => connection === 'a socket' || !one.hold_open_ms)) {
      test(vector.name, async () => {
        const folder = prepareServerCase('qmail-smtpd', vector);
        try {
          const { exit, server, stderr } = await CONNECTIONS[connection](folder, vector);
          const expected = expectedOfNetqmail(vector);
          assert.equal(normalised(server, queuePids(folder)), expected.server);
          assert.deepEqual([exit, stderr], [expected.exit, expected.stderr]);
          compareQueueRuns(folder, expected.queue);
        } finally {
          rmSync(folder, { recursive: true });
        }
      });
    }
  });
}

interface Recorded {
  message: Uint8Array[];
  envelope: Uint8Array;
}

/** A queue program in this process that behaves as a case wants. */
function recordingQueue(behaviour: QueueBehaviour, runs: Recorded[]): QueueProgram {
  const run: Recorded = { message: [], envelope: new Uint8Array(0) };
  runs.push(run);
  return {
    write(bytes) {
      run.message.push(copyBytes(bytes));
      return undefined;
    },
    async finish(envelope) {
      run.envelope = envelope;
      const { sender, recipients } = parseQueueEnvelope(envelope)!;
      const isTooLong = [sender, ...recipients].some((address) => address.length > 1002);
      const exit = behaviour.signal === undefined ? (behaviour.exit ?? (isTooLong ? 11 : 0)) : 'signal';
      const end = { exit, writeFailed: behaviour.noread === true, pid: 4711 } as const;
      return behaviour.fd6 === undefined ? end : { ...end, customText: behaviour.fd6 };
    },
    async abort() {},
  };
}

for (const dialect of ['netqmail', 'notqmail'] as const) {
  describe(`runSmtpd() as ${dialect}`, () => {
    for (const vector of cases) {
      test(vector.name, async () => {
        const home = mkdtempSync(join(tmpdir(), 'run-smtpd-vector-'));
        try {
          const clock = new ManualClock();
          const env = dialect === 'notqmail' ? { ...vector.env, SMTPEXTENSIONS: 'notqmail' } : vector.env;
          writeControl(join(home, 'control'), vector.control);
          const pieces = [Buffer.from(vector.client, 'latin1')];
          const replies: Uint8Array[] = [];
          const runs: Recorded[] = [];
          const exit = await runSmtpd({
            input: {
              async read() {
                const piece = pieces.shift();
                if (piece !== undefined && piece.length > 0) return piece;
                if (!vector.hold_open_ms) return undefined;
                setImmediate(() => clock.advance(vector.hold_open_ms ?? 0));
                return new Promise<undefined>(() => {});
              },
            },
            output: {
              async write(parts) {
                replies.push(...parts);
                return true;
              },
            },
            ...{ env, home, ownBin: '/nowhere', clock },
            openQueue: ({ customText }) => {
              assert.equal(customText, dialect === 'notqmail');
              const { fd6, ...behaviour } = vector.queue_behaviour ?? {};
              return recordingQueue(customText ? (vector.queue_behaviour ?? {}) : behaviour, runs);
            },
          });
          const expected = dialect === 'notqmail' ? vector.expect : expectedOfNetqmail(vector);
          const said = Buffer.from(concatBytes(replies)).toString('latin1');
          assert.equal(said.replaceAll('ok 1000000000 qp 4711', 'ok @TIME@ qp @QP@'), expected.server);
          assert.equal(exit, expected.exit);
          assert.equal(runs.length, expected.queue.length);
          for (const [i, run] of runs.entries()) {
            if (expected.queue[i]!.read === false) continue;
            const message = Buffer.concat(run.message).toString('latin1');
            compareQueueRun({ message, envelope: run.envelope }, expected.queue[i]!);
          }
        } finally {
          rmSync(home, { recursive: true });
        }
      });
    }
  });
}

for (const [letter, reply] of [
  ['K', /^250 ok \d+ qp \d+$/],
  ['Z', /^451 mail server temporarily rejected message \(#4\.3\.0\)$/],
  ['D', /^554 mail server permanently rejected message \(#5\.3\.0\)$/],
] as const) {
  test(`qmail-smtpd hands a message to our own QMQP client in its process, and relays ${letter}`, async () => {
    const server = await startFakeServer('127.0.0.1', 0, [
      ['read_all'],
      ['send', `2:${letter}x,`],
      ['close'],
    ]);
    const home = mkdtempSync(join(tmpdir(), 'smtpd-relay-'));
    try {
      mkdirSync(join(home, 'control'));
      mkdirSync(join(home, 'bin'));
      symlinkSync(join(ROOT, 'bin/qmail-qmqpc'), join(home, 'bin/qmail-queue'));
      writeFileSync(join(home, 'control/qmqpservers'), `qmqp://127.0.0.1:${server.port}\n`);
      writeFileSync(join(home, 'control/me'), 'mx.example\n');
      const env = { QMAILHOME: home, TCPREMOTEIP: '192.0.2.7' };
      const child = spawn(join(ROOT, 'bin/qmail-smtpd'), { env });
      child.stdin.end('MAIL FROM:<s>\r\nRCPT TO:<r@y>\r\nDATA\r\n..m\r\n.\r\nQUIT\r\n');
      const { exit, stdout, stderr } = await ended(child);
      assert.deepEqual([exit, stderr], [0, '']);
      assert.match(stdout.split('\r\n')[4]!, reply);
      const field = String.raw`Received: from unknown \(192\.0\.2\.7\)\n  by unknown with SMTP; .* -0000\n`;
      assert.match(server.received.join(), new RegExp(String.raw`^\d+:\d+:${field}\.m\n,1:s,3:r@y,,$`));
    } finally {
      rmSync(home, { recursive: true });
      await server.stop();
    }
  });
}
