// The places where a hub that runs takes mail, as its command line says: each is tried from this host, without sending any.

import type { ServerAddress } from '../core/format/server-list.ts';
import { formatHostPort, parseHostPort } from '../hub/host-port.ts';
import { formatSmtpPlace, parseSmtpPlaces } from '../hub/smtp-listeners.ts';
import type { Probe } from './check-servers.ts';
import { type Finding, Findings } from './finding.ts';
import type { RunningHub } from './hub-process.ts';
import type { ProbeResult } from './probe-server.ts';

const DEFAULT_QMQP = '127.0.0.1:628';
const ANY_ADDRESS: readonly string[] = ['0.0.0.0', '::'];
const LOOPBACK = 'localhost';
/** How a server of SMTP or LMTP greets. */
const GREETING = /^220[ -]/;

/** Tries them all. A port that was picked, as for 0, is not known. */
export async function checkListeners({ options }: RunningHub, probe: Probe): Promise<Finding[]> {
  const found = new Findings('hub');
  const tries: Promise<void>[] = [];
  const qmqp = parseHostPort(options.get('qmqp') ?? DEFAULT_QMQP);
  const qmqps = parseHostPort(options.get('qmqps') ?? '');
  const attempt = async (
    name: string,
    server: ServerAddress,
    judge: (result: ProbeResult) => string | undefined,
  ) => {
    if (server.path === undefined && server.port === 0) return;
    const host = server.path ?? (ANY_ADDRESS.includes(server.host) ? LOOPBACK : server.host);
    const result = await probe({ ...server, host: server.path === undefined ? host : '' }, host);
    const seen = judge(result);
    if (seen !== undefined) found.ok(name, seen);
    else if (result.kind === 'unreachable')
      found.error(name, `cannot be reached from this host: ${result.reason}`, 'look into the log of the hub');
    else found.warning(name, 'is reached, and does not do its work', 'look into the log of the hub');
  };
  if (qmqp !== undefined)
    tries.push(attempt(`qmqp ${formatHostPort(qmqp)}`, { ...qmqp, hub: '' }, judgeQmqp));
  if (qmqps !== undefined)
    tries.push(attempt(`qmqps ${formatHostPort(qmqps)}`, { ...qmqps, hub: '' }, judgeQmqp));
  for (const protocol of ['smtp', 'lmtp']) {
    const given = options.get(protocol);
    for (const place of (given && parseSmtpPlaces(given)) || []) {
      const server = 'path' in place ? { host: '', port: 0, path: place.path } : place;
      tries.push(attempt(`${protocol} ${formatSmtpPlace(place)}`, server, judgeSmtp));
    }
  }
  await Promise.all(tries);
  return found.list;
}

function judgeQmqp(result: ProbeResult): string | undefined {
  if (result.kind === 'takes-mail') return 'takes mail';
  return result.kind === 'refused' && /\bTLS\b/.test(result.text) ? 'takes mail by TLS only' : undefined;
}

function judgeSmtp(result: ProbeResult): string | undefined {
  return result.kind === 'not-qmqp' && GREETING.test(result.text) ? 'greets' : undefined;
}
