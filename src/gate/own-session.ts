// Programs of ours that tcpserver runs in its own process instead of starting them for each connection: same environment,
// same result, no start. Nothing here may end the process or read the process's environment.

import type { Environment } from '../client/qmqp-submit.ts';
import { runQmqpd } from '../client/run-qmqpd.ts';
import { complain } from '../host/blocking-io.ts';
import type { Clock } from '../host/clock.ts';
import { findHome } from '../host/invocation.ts';
import type { SocketInputOutput } from '../host/socket-io.ts';
import { runSmtpd } from './run-smtpd.ts';
import { cacheSmtpdControls } from './smtpd-controls.ts';

/** A connection, and what the program would be given. */
export interface OwnSessionOptions {
  readonly io: SocketInputOutput;
  readonly env: Environment;
  /** Folder of our own programs. */
  readonly ownBin: string;
  readonly clock: Clock;
}

/** Serves one connection and resolves with the program's exit code; it does not close the connection. */
export type OwnSession = (options: OwnSessionOptions) => Promise<number>;

/** Control files are read again only when they have changed. */
const READ_SMTPD_CONTROLS = cacheSmtpdControls();

const SESSIONS: { readonly [program: string]: OwnSession } = {
  'qmail-qmqpd': ({ io, env, ownBin, clock }) =>
    runQmqpd({ ...io, env, ownBin, clock, home: findHome(ownBin, env['QMAILHOME']) }),
  'qmail-smtpd': ({ io, env, ownBin, clock }) =>
    runSmtpd({
      ...io,
      env,
      ownBin,
      clock,
      home: findHome(ownBin, env['QMAILHOME']),
      readControls: READ_SMTPD_CONTROLS,
      complain: (text) => complain(`qmail-smtpd: ${text}\n`),
    }),
};

/** The session of a program of ours, by its name; undefined if it can only be started. */
export function ownSession(program: string | undefined): OwnSession | undefined {
  return program === undefined ? undefined : SESSIONS[program];
}
