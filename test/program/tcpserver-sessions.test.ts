// Our qmail-qmqpd and qmail-smtpd under our tcpserver, within its process and started by it: their golden vectors must not be
// able to tell. One server has all cases of a program, many at a time; each comes from an address of its own, whose rule
// sets the case's environment.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildCdb } from '../../src/core/format/cdb.ts';
import { ROOT } from '../support/client-vectors.ts';
import {
  compareQueueRuns,
  expectedOfNetqmail,
  prepareServerCase,
  queuePids,
  type ServerCase,
} from '../support/server-vectors.ts';
import { connectClient, startTcpserver, type TcpserverProcess } from '../support/tcpserver-process.ts';

interface AddressedCase {
  readonly vector: ServerCase;
  readonly from: string;
  readonly folder: string;
}

function prepare(program: string, isWanted: (index: number) => boolean): AddressedCase[] {
  const vectors: ServerCase[] = JSON.parse(readFileSync(join(ROOT, `test/vectors/${program}.json`), 'utf8'));
  // A server that knows nothing of its client cannot be had from tcpserver.
  const possible = vectors.filter(({ env }, i) => env['TCPREMOTEIP'] !== undefined && isWanted(i));
  return possible.map((vector, i) => ({
    vector,
    from: `127.3.${i >> 7}.${1 + (i & 127)}`,
    folder: prepareServerCase(program, vector),
  }));
}

function writeRules(folder: string, cases: readonly AddressedCase[]): void {
  const records = cases.map(({ vector, from, folder: home }) => {
    const isMissing = vector.queue_behaviour?.program_missing === true;
    const env = {
      ...vector.env,
      QMAILHOME: join(home, 'home'),
      QMAILQUEUE: join(home, isMissing ? 'no-such-program' : 'recorder'),
    };
    const text = Object.entries(env).map(([name, value]) => `+${name}=${value}\0`);
    return { key: Buffer.from(from), data: Buffer.from(text.join(''), 'latin1') };
  });
  writeFileSync(join(folder, 'rules.cdb'), buildCdb(records)!);
}

const escapePattern = (text: string) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');

function patternOf(expected: string, pids: readonly string[]): RegExp {
  const placeholders: { readonly [name: string]: string } = {
    LEN: '\\d+',
    TIME: '\\d+',
    QP: `(?:${pids.join('|')})`,
  };
  const parts = expected.split(/@(LEN|TIME|QP)@/);
  return new RegExp(
    `^${parts.map((part, i) => (i % 2 === 1 ? placeholders[part] : escapePattern(part))).join('')}$`,
  );
}

for (const program of ['qmail-qmqpd', 'qmail-smtpd']) {
  for (const isForked of [false, true]) {
    describe(`${program} ${isForked ? 'started by' : 'within'} tcpserver`, { concurrency: 4 }, () => {
      // The connections that a started qmail-smtpd gets are those of its own test, so a few cases will do.
      const cases = prepare(program, (i) => program === 'qmail-qmqpd' || !isForked || i % 5 === 0);
      let folder: string;
      let server: TcpserverProcess;
      let port: number;
      before(async () => {
        folder = mkdtempSync(join(tmpdir(), 'tcpserver-sessions-'));
        writeRules(folder, cases);
        server = startTcpserver({
          program: join(ROOT, 'bin/tcpserver'),
          args: ['-1v', '-RH', '-x', 'rules.cdb', '0', '0', join(ROOT, 'bin', program)],
          // Nobody answers there, so the server has no name.
          env: { PATH: '/usr/bin:/bin', DNSCACHEIP: '127.0.0.99', ...(isForked && { TCPSERVERFORK: '1' }) },
          folder,
        });
        port = await server.port();
      });
      after(async () => {
        assert.equal(await server.stop(), 0);
        const others = server
          .log()
          .split('\n')
          .filter((line) => !/^tcpserver: (?:status|pid|ok|end) ?/.test(line));
        assert.deepEqual(others, ['']);
        for (const one of [folder, ...cases.map((each) => each.folder)]) rmSync(one, { recursive: true });
      });

      for (const { vector, from, folder: caseFolder } of cases) {
        test(vector.name, async () => {
          const expected = program === 'qmail-smtpd' ? expectedOfNetqmail(vector) : vector.expect;
          const client = await connectClient({ from, to: '127.0.0.1', port });
          for (const piece of vector.client_pieces ?? [vector.client]) {
            if (typeof piece === 'number') await new Promise((resolve) => setTimeout(resolve, piece));
            else client.socket.write(piece, 'latin1');
          }
          const replies = await (vector.hold_open_ms ? client.received() : client.finish());
          client.socket.destroy();
          await server.logged(new RegExp(`:${escapePattern(from)}::${client.port}\n`, 'g'), 1);
          const pid = new RegExp(` pid (\\d+) from ${escapePattern(from)}\n`).exec(server.log())?.[1];
          await server.logged(new RegExp(` end ${pid} status `, 'g'), 1);
          const status = new RegExp(` end ${pid} status (\\d+)\n`).exec(server.log())?.[1];
          assert.equal(Number(status), expected.exit * 256);
          // A queue program whose message was abandoned may start after the session is over.
          while (queuePids(caseFolder).length < expected.queue.length) await new Promise(setImmediate);
          assert.match(replies, patternOf(expected.server, queuePids(caseFolder)));
          compareQueueRuns(caseFolder, expected.queue);
          assert.equal(Number(pid) > 4_194_304, !isForked);
        });
      }
    });
  }
}
