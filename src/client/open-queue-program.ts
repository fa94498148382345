// Chooses the queue program as qmail's injecting programs do: $QMAILQUEUE if that is set, else HOME/bin/qmail-queue; and
// runs it in this process when it is our own QMQP client, which saves a second start. A foreign file is always started.
// Source: the qmail-queue manual page; the QMAILQUEUE variable of netqmail.

import { existsSync } from 'node:fs';
import { ownProgramAt } from '../host/invocation.ts';
import { openOwnQueueProgram } from './own-queue-program.ts';
import type { Environment } from './qmqp-submit.ts';
import type { QueueProgram } from './queue-program.ts';
import { spawnQueueProgram } from './spawned-queue-program.ts';

/** Where the caller belongs, and what it wants. */
export interface QueueProgramOptions {
  /** The installation, absolute. */
  readonly home: string;
  /** Folder of our own programs, from the invocation. */
  readonly ownBin: string;
  /** The environment that the queue program gets, unchanged. */
  readonly env: Environment;
  /** Whether to listen to the program on descriptor 6; its text is in the result. */
  readonly customText: boolean;
}

/** The queue program of a home: a program to start, or undefined for our own QMQP client in this process. */
export function chooseQueueProgram({
  home,
  ownBin,
  env,
}: Omit<QueueProgramOptions, 'customText'>): string | undefined {
  const chosen = env['QMAILQUEUE'];
  if (chosen !== undefined) return chosen;
  const own = ownProgramAt(`${home}/bin/qmail-queue`, ownBin);
  if (own === 'qmail-qmqpc') return undefined;
  // A home without a `bin` folder has the programs that stand beside the one that runs.
  return own !== undefined && !existsSync(`${home}/bin`) ? `${ownBin}/qmail-queue` : 'bin/qmail-queue';
}

/**
 * Opens the queue program for one message. Never throws; finish() rejects with a SystemError if no process or pipe could
 * be made.
 */
export function openQueueProgram(options: QueueProgramOptions): QueueProgram {
  const { home, env } = options;
  const path = chooseQueueProgram(options);
  return path === undefined ? openOwnQueueProgram({ home, env }) : spawnQueueProgram({ ...options, path });
}
