// The original tcpserver in front of a server of ours whose queue program records what it gets.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseQueueEnvelope } from '../../src/core/format/queue-envelope.ts';
import { ROOT } from './client-vectors.ts';
import { findPeer } from './peers.ts';

/** A message without its first field, and sender and recipients; undefined if the envelope was not complete. */
export interface RecordedMessage {
  readonly message: string;
  readonly envelope: string[] | undefined;
}

/** A running server. */
export interface RecordingTcpserver {
  readonly port: number;
  /** The qmail home, which holds the recordings too. */
  readonly home: string;
  /** Process id of the last connection's program, once it runs. */
  childPid(): number;
  /** All that was queued; every message must have come by that protocol. */
  queued(protocol: string): RecordedMessage[];
  stop(): Promise<void>;
}

/** Starts it on a free port of this host; the local name is `server.example`. */
export async function startRecordingTcpserver(program: string): Promise<RecordingTcpserver> {
  const home = mkdtempSync(join(tmpdir(), `tcpserver-${program}-`));
  mkdirSync(join(home, 'control'));
  writeFileSync(join(home, 'control/me'), 'server.example\n');
  const write = (name: string, script: string) =>
    writeFileSync(join(home, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  write('recorder', `cat >"${home}/message.$$"; cat <&1 >"${home}/envelope.$$"`);
  write('child', `echo $$ >'${home}/child.pid'\nexec '${ROOT}/bin/${program}'`);
  const args = ['-1', '-H', '-R', '-l', 'server.example', '127.0.0.1', '0', join(home, 'child')];
  const server = spawn(findPeer('tcpserver') ?? '', args, {
    env: { PATH: '/usr/bin:/bin', QMAILHOME: home, QMAILQUEUE: join(home, 'recorder') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => server.on('exit', resolve));
  const port = await new Promise<number>((resolve) => {
    server.stdout.once('data', (line) => resolve(Number(line)));
  });
  return {
    port,
    home,
    childPid: () => Number(readFileSync(join(home, 'child.pid'), 'latin1')),
    queued: (protocol) => readQueued(home, protocol),
    async stop() {
      server.kill();
      await ended;
      rmSync(home, { recursive: true });
    },
  };
}

function readQueued(home: string, protocol: string): RecordedMessage[] {
  const pids = readdirSync(home).filter((name) => name.startsWith('message.'));
  const by = String.raw` {2}by server\.example with ${protocol}; .* -0000\n`;
  const field = new RegExp(String.raw`^Received: from unknown (\(HELO \S*\) )?\(127\.0\.0\.1\)\n${by}`);
  return pids.map((name) => {
    const text = readFileSync(join(home, name), 'latin1');
    assert.match(text, field);
    const parsed = parseQueueEnvelope(readFileSync(join(home, name.replace('message', 'envelope'))));
    const addresses = parsed && [parsed.sender, ...parsed.recipients];
    return {
      message: text.replace(field, ''),
      envelope: addresses?.map((address) => Buffer.from(address).toString('latin1')),
    };
  });
}
