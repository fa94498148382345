// The queue program when it is our own QMQP client: the message is kept here and submitted from this process, with the
// results that the separate program would have. What the program checks first is checked at the start here too.

import { copyBytes } from '../core/bytes/bytes.ts';
import {
  type Environment,
  openHistory,
  type QmqpServers,
  readQmqpServers,
  type SubmissionResult,
  submitByQmqp,
} from './qmqp-submit.ts';
import type { QueueProgram } from './queue-program.ts';
import { spillIfNeeded } from './spill.ts';

/** Starts a submission by QMQP in this process. */
export function openOwnQueueProgram({ home, env }: { home: string; env: Environment }): QueueProgram {
  const servers = readQmqpServers({ home, env });
  let message: Uint8Array[] = [];
  return {
    write(bytes) {
      if (!('exit' in servers)) message.push(copyBytes(bytes));
      return undefined;
    },
    async finish(envelope) {
      const history = openHistory({ servers, home, env });
      const result = await submitByQmqp({ home, servers, message, envelope, ...history });
      const { exit, isUnknown, server } = result;
      const spilled = spillIfNeeded({ home, exit, isUnknown, server, message, envelope });
      const notice = spilled.notice ?? tlsTrouble(servers, result);
      return { ...spilled, ...(notice !== undefined && { notice }), writeFailed: false, pid: process.pid };
    },
    async abort() {
      message = [];
    },
  };
}

/** What went wrong, where servers are asked for TLS: a certificate may be to blame, of which no exit code tells. */
function tlsTrouble(servers: QmqpServers, { exit, reason }: SubmissionResult): string | undefined {
  if (exit === 0 || 'exit' in servers) return undefined;
  return servers.servers.some(({ tls }) => tls !== undefined) ? reason : undefined;
}
