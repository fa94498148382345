// Programs of ours that tcpserver runs in its own process instead of starting them for each connection: same environment,
// same result, no start. Nothing here may end the process or read the process's environment. What the sessions have in
// common is made once for a server: the way to the hub, what it said of
// recipients, and what control files say.

import type { Environment } from '../client/qmqp-submit.ts';
import { runQmqpd } from '../client/run-qmqpd.ts';
import type { Clock } from '../host/clock.ts';
import { findHome } from '../host/invocation.ts';
import type { SocketInputOutput } from '../host/socket-io.ts';
import { createQueuePool } from './queue-pool.ts';
import { createRecipientChecks } from './recipient-check.ts';
import { runScreenedSmtpd } from './screened-smtpd.ts';
import { cacheSmtpdControls } from './smtpd-controls.ts';

/** A connection, and what the program would be given. */
export interface OwnSessionOptions {
  readonly io: SocketInputOutput;
  readonly env: Environment;
  /** Folder of our own programs. */
  readonly ownBin: string;
}

/** Serves one connection and resolves with the program's exit code; it does not close the connection. */
export type OwnSession = (options: OwnSessionOptions) => Promise<number>;

/** The session of a program of ours, by its name; undefined if it can only be started. */
export type FindOwnSession = (program: string | undefined) => OwnSession | undefined;

/** What a server gives to all its sessions. */
export interface OwnSessionsOptions {
  readonly clock: Clock;
  /** Told what only the administrator can mend; one line without its end. */
  readonly complain: (text: string) => void;
}

/** Makes the sessions of one server. */
export function createOwnSessions({ clock, complain }: OwnSessionsOptions): FindOwnSession {
  const readControls = cacheSmtpdControls(clock);
  const complainOfSmtpd = (text: string): void => complain(`qmail-smtpd: ${text}`);
  const checkOf = createRecipientChecks({ clock, complain: complainOfSmtpd });
  const pool = createQueuePool({
    clock,
    onServerChange: ({ host, port }, isReachable) =>
      complain(`QMQP server ${host} port ${port} can${isReachable ? ' be reached again' : 'not be reached'}`),
  });

  /** What both programs are given. */
  function common({ io, env, ownBin }: OwnSessionOptions) {
    const openQueue: typeof pool.openQueue = (options) => pool.openQueue(options, () => io.isClosed());
    return { ...io, env, ownBin, clock, openQueue, home: findHome(ownBin, env['QMAILHOME']) };
  }

  const sessions: { readonly [program: string]: OwnSession } = {
    'qmail-qmqpd': (options) => runQmqpd(common(options)),
    'qmail-smtpd': (options) => {
      const given = common(options);
      const checkRecipient = checkOf(given.home);
      return runScreenedSmtpd({ ...given, readControls, checkRecipient, complain: complainOfSmtpd });
    },
  };
  return (program) => (program === undefined ? undefined : sessions[program]);
}
