// What a UCSPI server such as tcpserver says of a connection in the environment, as the Received field shows it.

import type { ReceivedTrace } from '../core/format/received.ts';
import { formatDate } from '../core/message/date.ts';
import type { Clock } from '../host/clock.ts';
import type { Environment } from './qmqp-submit.ts';

/** Both ends of the connection, `unknown` where nothing is said, and the time. */
export function readConnectionTrace(env: Environment, clock: Clock): ReceivedTrace {
  const remoteInfo = env['TCPREMOTEINFO'];
  return {
    remoteHost: bytesText(env['TCPREMOTEHOST'] ?? 'unknown'),
    remoteIp: bytesText(env['TCPREMOTEIP'] ?? 'unknown'),
    remoteInfo: remoteInfo === undefined ? undefined : bytesText(remoteInfo),
    local: bytesText(env['TCPLOCALHOST'] ?? env['TCPLOCALIP'] ?? 'unknown'),
    dateText: formatDate(clock.nowMs()),
  };
}

/** A value of the environment as bytes, one character each. */
function bytesText(value: string): string {
  return Buffer.from(value).toString('latin1');
}
