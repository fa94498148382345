// Where tcpserver listens: its operands, resolved as djb's resolver would, or a socket that systemd has opened for it.

import { hostname } from 'node:os';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { parseIpv6 } from '../core/format/ip-address.ts';
import { qualificationRules, qualifyHost } from '../core/protocol/dns/qualify.ts';
import { readFileIfPresent } from '../host/control.ts';
import { type AskDns, readResolvConf } from '../host/dns-client.ts';
import { errorText } from '../host/error-text.ts';
import type { Environment } from '../host/raw-arguments.ts';
import { findTcpPort } from '../host/services.ts';
import { errorCode } from '../host/system-error.ts';

/** The server cannot start; the message is what the original prints behind `fatal: `. */
export class StartFailure extends Error {}

/** The number of a port: digits, or the name of a service. @throws StartFailure */
export function resolvePort(port: Uint8Array): number {
  let number = 0;
  for (const byte of port) {
    if (byte < 48 || byte > 57) return namedPort(textOf(port));
    number = (number * 10 + byte - 48) % 65_536;
  }
  return number;
}

function namedPort(name: string): number {
  const port = findTcpPort(name);
  if (port === undefined) throw new StartFailure(`unable to figure out port number for ${name}`);
  return port;
}

/**
 * The address of a host: `0` and nothing are every IPv4 address, `::` every address; text of digits, dots and brackets is an
 * IPv4 address; other names are looked up. @throws StartFailure
 */
export async function resolveHost(host: Uint8Array, askDns: AskDns, env: Environment): Promise<string> {
  const text = textOf(host);
  if (text === '' || text === '0') return '0.0.0.0';
  const bare = text.replaceAll(/[[\]]/g, '');
  if (parseIpv6(bytesOf(bare)) !== undefined) return bare;
  for (const name of qualifyHost(host, rulesOf(env))) {
    const address = await addressOf(name, askDns, text);
    if (address !== undefined) return address;
  }
  throw new StartFailure(`no IP address for ${text}`);
}

const DNSREWRITE = '/etc/dnsrewrite';

function rulesOf(env: Environment): Uint8Array[] {
  const path = env.get('DNSREWRITEFILE');
  return qualificationRules({
    rewriteFile: readIfPossible(path === undefined ? DNSREWRITE : Buffer.from(path)),
    localDomain: env.get('LOCALDOMAIN'),
    resolvConf: readResolvConf(),
    hostName: Buffer.from(hostname()),
  });
}

function readIfPossible(path: string | Buffer): Uint8Array | undefined {
  try {
    return readFileIfPresent(path);
  } catch {
    return undefined;
  }
}

const ADDRESS_CHARACTERS = /^[0-9.[\]]*$/;

async function addressOf(name: Uint8Array, askDns: AskDns, host: string): Promise<string | undefined> {
  const text = textOf(name);
  if (ADDRESS_CHARACTERS.test(text)) {
    const numbers = text.match(/[0-9]+/g) ?? [];
    if (numbers.length < 4) return undefined;
    return numbers
      .slice(0, 4)
      .map((digits) => Number(BigInt(digits) % 256n))
      .join('.');
  }
  const answers = await askDns(name, 'A');
  if (answers === 'failed') {
    throw new StartFailure(`temporarily unable to figure out IP address for ${host}: timed out`);
  }
  return answers[0]?.join('.');
}

const SYSTEMD_FIRST = 3;

/** Descriptor of the first socket that systemd passes to this process; undefined if there is none. */
export function passedSocket(env: Environment): number | undefined {
  const { LISTEN_PID: pid, LISTEN_FDS: count } = env.strings;
  return pid === String(process.pid) && Number(count) >= 1 ? SYSTEMD_FIRST : undefined;
}

const BIND_ERRORS = ['EADDRINUSE', 'EADDRNOTAVAIL', 'EACCES', 'EPERM'];
const SOCKET_ERRORS = ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EAFNOSUPPORT'];

/** What the original says when a socket cannot be made, bound or listened on; Node does all three at once. */
export function listenFailure(error: unknown): StartFailure {
  const code = errorCode(error) ?? '';
  let step = 'listen';
  if (BIND_ERRORS.includes(code)) step = 'bind';
  else if (SOCKET_ERRORS.includes(code)) step = 'create socket';
  return new StartFailure(`unable to ${step}: ${errorText(error)}`);
}
