// Runs our built QMQP client with a message and an envelope, against servers of the test's choice.

import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { programUnderTest } from './client-vectors.ts';

/** A message for {@link runClient}. */
export interface ClientMessage {
  /** A folder that is the client's home; a `control` is made in it. */
  readonly home: string;
  /** Entries of qmqpservers, separated by commas. */
  readonly servers: string;
  readonly message: Uint8Array;
  readonly envelope: Uint8Array;
}

/** Runs qmail-qmqpc and resolves with its exit code. */
export function runClient({ home, servers, message, envelope }: ClientMessage): Promise<number | null> {
  mkdirSync(join(home, 'control'), { recursive: true });
  const child = spawn(programUnderTest('qmail-qmqpc'), {
    env: { QMAILHOME: home, QMQPSERVERS: servers },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.on('error', () => {});
  child.stdin.end(message);
  // What Node calls the child's standard output is a socket pair, which the client reads its envelope from.
  const envelopePipe = child.stdout as unknown as Writable;
  envelopePipe.on('error', () => {});
  envelopePipe.end(envelope);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', resolve);
  });
}
