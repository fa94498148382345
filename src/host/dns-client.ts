// Asks DNS servers, as djb's resolver does: each server of the list by UDP with 1 second to answer, then all again with 3,
// 11 and 45; by TCP when the answer does not fit. Neither /etc/hosts nor a cache is looked at.
// Invariant: a question ends after a bounded time, never rejects, and leaves no socket open.
// Source: cr.yp.to/djbdns/dns.html.

import type { Socket as UdpSocket } from 'node:dgram';
import { bytesOf, equalBytes } from '../core/bytes/bytes.ts';
import { parseIpv4, parseIpv6 } from '../core/format/ip-address.ts';
import {
  type DnsAnswer,
  type DnsType,
  encodeDnsQuery,
  parseDnsAnswer,
} from '../core/protocol/dns/message.ts';
import { reverseDnsName } from '../core/protocol/dns/name.ts';
import { listDnsServers } from '../core/protocol/dns/servers.ts';
import type { Clock } from './clock.ts';
import { readFileIfPresent } from './control.ts';

/** How to reach servers. */
export interface DnsClientOptions {
  /** Addresses in the order in which they are asked, at least one. */
  readonly servers: readonly string[];
  readonly clock: Clock;
  /** Their port; 53 unless a test says otherwise. */
  readonly port?: number;
}

/** The data of the records that were found, as parseDnsAnswer() gives it; `failed` if nobody could tell. */
export type DnsResult = readonly Uint8Array[] | 'failed';

/** Asks for the records of a type that a name has. */
export type AskDns = (name: Uint8Array, type: DnsType) => Promise<DnsResult>;

/** Makes the question. */
export function createDnsClient(options: DnsClientOptions): AskDns {
  return async (name, type) => {
    const answer = await ask(options, { name, type, asksValidation: false });
    return answer === 'failed' ? answer : answer.records;
  };
}

/** Asks servers that validate (DNSSEC), and tells whether they did; `failed` also if they found the answer forged. */
export type AskValidatingDns = (name: Uint8Array, type: DnsType) => Promise<DnsAnswer | 'failed'>;

/** Makes the question for servers that validate; whether to trust them and the way to them is up to the caller. */
export function createValidatingDnsClient(options: DnsClientOptions): AskValidatingDns {
  return (name, type) => ask(options, { name, type, asksValidation: true });
}

const RESOLV_CONF = '/etc/resolv.conf';

/** The servers that `$DNSCACHEIP` or /etc/resolv.conf name. */
export function readDnsServers(dnsCacheIp: Uint8Array | undefined): string[] {
  return listDnsServers(dnsCacheIp, readResolvConf());
}

/** The content of /etc/resolv.conf; nothing if it cannot be read. */
export function readResolvConf(): Uint8Array {
  try {
    return readFileIfPresent(RESOLV_CONF) ?? new Uint8Array(0);
  } catch {
    return new Uint8Array(0);
  }
}

const REVERSE_ZONES = { ipv4: bytesOf('in-addr.arpa'), ipv6: bytesOf('ip6.arpa') };

/** The names of an address; none if it is no address. */
export async function askNameOfIp(askDns: AskDns, ip: string): Promise<DnsResult> {
  const name = reverseDnsName(bytesOf(ip), REVERSE_ZONES);
  return name === undefined ? [] : askDns(name, 'PTR');
}

/** The first name of an address; undefined if it has none or nobody could tell. */
export async function findNameOfIp(askDns: AskDns, ip: string): Promise<Uint8Array | undefined> {
  const answers = await askNameOfIp(askDns, ip);
  return answers === 'failed' ? undefined : answers[0];
}

/** Whether an address is one of those of a name; not if nobody could tell. */
export async function isAddressOfName(askDns: AskDns, name: Uint8Array, ip: string): Promise<boolean> {
  const isIpv6 = ip.includes(':');
  const answers = await askDns(name, isIpv6 ? 'AAAA' : 'A');
  if (answers === 'failed') return false;
  const wanted = isIpv6 ? bytesOfGroups(parseIpv6(bytesOf(ip))) : parseIpv4(bytesOf(ip));
  return wanted !== undefined && answers.some((answer) => equalBytes(answer, wanted));
}

function bytesOfGroups(groups: Uint16Array | undefined): Uint8Array | undefined {
  return (
    groups && Uint8Array.from({ length: 16 }, (_, i) => (groups[i >> 1]! >> (i % 2 === 0 ? 8 : 0)) & 255)
  );
}

const UDP_TIMEOUTS_MS = [1000, 3000, 11_000, 45_000];
const TCP_TIMEOUT_MS = 10_000;
const DNS_PORT = 53;

interface Question {
  readonly name: Uint8Array;
  readonly type: DnsType;
  readonly asksValidation: boolean;
}

async function ask(
  options: DnsClientOptions,
  { name, type, asksValidation }: Question,
): Promise<DnsAnswer | 'failed'> {
  const { randomInt } = process.getBuiltinModule('node:crypto');
  for (const timeoutMs of UDP_TIMEOUTS_MS) {
    for (const server of options.servers) {
      // A new number for each packet, so that a late or forged answer fits none.
      const query = encodeDnsQuery(randomInt(65_536), name, type, asksValidation);
      if (query === undefined) return 'failed';
      const target = { ...options, server, query };
      let answer = await askByUdp({ ...target, timeoutMs });
      if (answer === 'truncated') answer = await askByTcp({ ...target, timeoutMs: TCP_TIMEOUT_MS });
      if (answer !== 'failed') return answer;
    }
  }
  return 'failed';
}

interface Target extends DnsClientOptions {
  readonly server: string;
  readonly query: Uint8Array;
  readonly timeoutMs: number;
}

function askByUdp(target: Target): Promise<DnsAnswer | 'failed' | 'truncated'> {
  const { server, query, port = DNS_PORT } = target;
  return new Promise((resolve) => {
    let socket: UdpSocket | undefined;
    const end = once((answer: DnsAnswer | 'failed' | 'truncated') => {
      callOff();
      socket?.close();
      resolve(answer);
    });
    const callOff = target.clock.after(target.timeoutMs, () => end('failed'));
    try {
      socket = process.getBuiltinModule('node:dgram').createSocket(server.includes(':') ? 'udp6' : 'udp4');
      socket.on('error', () => end('failed'));
      socket.on('message', (packet) => {
        const answer = parseDnsAnswer(query, packet);
        if (answer !== 'unrelated') end(answer);
      });
      // Connected, so that the kernel drops what others send and reports that nobody listens.
      socket.connect(port, server, () => socket?.send(query, (error) => error && end('failed')));
    } catch {
      end('failed');
    }
  });
}

const LENGTH_BYTES = 2;

function askByTcp(target: Target): Promise<DnsAnswer | 'failed'> {
  const { server, query, port = DNS_PORT } = target;
  return new Promise((resolve) => {
    const socket = process.getBuiltinModule('node:net').connect({ host: server, port, noDelay: true });
    const end = once((answer: DnsAnswer | 'failed') => {
      callOff();
      socket.destroy();
      resolve(answer);
    });
    const callOff = target.clock.after(target.timeoutMs, () => end('failed'));
    let received = Buffer.alloc(0);
    socket.on('error', () => end('failed'));
    socket.on('close', () => end('failed'));
    socket.on('connect', () => {
      socket.write(Buffer.concat([Uint8Array.of(query.length >> 8, query.length & 255), query]));
    });
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes as Buffer]);
      if (received.length < LENGTH_BYTES) return;
      const length = received.readUInt16BE();
      if (received.length < LENGTH_BYTES + length) return;
      const answer = parseDnsAnswer(query, received.subarray(LENGTH_BYTES, LENGTH_BYTES + length));
      end(typeof answer === 'string' ? 'failed' : answer);
    });
  });
}

/** A function that does something the first time only. */
function once<T>(action: (value: T) => void): (value: T) => void {
  let isDone = false;
  return (value) => {
    if (isDone) return;
    isDone = true;
    action(value);
  };
}
