// A DNS server for tests, on UDP and TCP port 53 of an address of its own: a zone from the test, or a failure that it asks for.

import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { errorCode } from '../../src/host/system-error.ts';

/** `NAME TYPE` to its data: names, dotted quads, texts, `10 mx.example`, `3 1 1 HEX`. A failing name is `SERVFAIL`. */
export interface DnsZone {
  readonly [question: string]: readonly string[] | 'SERVFAIL';
}

/** How the server misbehaves: answers without data over UDP, or spoils its packets. */
export interface DnsManners {
  readonly truncate?: boolean;
  /** Changes a packet before it is sent by UDP; undefined sends nothing. */
  readonly spoil?: (packet: Buffer) => Buffer | undefined;
  /** Whether an answer, `NAME TYPE`, is said to be validated, if the question asks for that. */
  readonly isSecure?: (question: string) => boolean;
}

/** A running server. */
export interface FakeDnsServer {
  readonly port: number;
  /** `NAME TYPE PROTOCOL` of each question, in order. */
  readonly questions: readonly string[];
  stop(): Promise<void>;
}

const TYPES: { readonly [number: number]: string } = {
  1: 'A',
  12: 'PTR',
  15: 'MX',
  16: 'TXT',
  28: 'AAAA',
  52: 'TLSA',
};

/** Starts a server. @param port 0 picks one */
export async function startFakeDns(
  { host, port, zone }: { host: string; port: number; zone: DnsZone },
  manners: DnsManners = {},
): Promise<FakeDnsServer> {
  const questions: string[] = [];
  const answer = (query: Buffer, protocol: string) => {
    const { name, type, end } = readQuestion(query);
    questions.push(`${name} ${type} ${protocol}`);
    const packet = answerTo(query.subarray(0, end), { name, type, zone });
    if ((query[3]! & 32) !== 0 && manners.isSecure?.(`${name} ${type}`)) packet[3]! |= 32;
    return packet;
  };
  const { udp, tcp } = await bindBoth(host, port);
  udp.on('message', (query, peer) => {
    const whole = answer(query, 'udp');
    const sent = manners.truncate === true ? truncated(whole) : whole;
    const packet = manners.spoil === undefined ? sent : manners.spoil(sent);
    if (packet !== undefined) udp.send(packet, peer.port, peer.address);
  });
  tcp.on('connection', (socket) => {
    socket.on('error', () => {});
    socket.once('data', (bytes: Buffer) => {
      const packet = answer(bytes.subarray(2), 'tcp');
      socket.end(Buffer.concat([Buffer.from([packet.length >> 8, packet.length & 255]), packet]));
    });
  });
  return { port: udp.address().port, questions, stop: () => stop(udp, tcp) };
}

/** Both on the same port; one that is free for TCP may be taken for UDP, then it is another. */
async function bindBoth(host: string, port: number): Promise<{ udp: Socket; tcp: Server }> {
  for (;;) {
    const tcp = createServer().listen(port, host);
    await once(tcp, 'listening');
    const udp = createSocket('udp4');
    try {
      udp.bind((tcp.address() as AddressInfo).port, host);
      await once(udp, 'listening');
      return { udp, tcp };
    } catch (error) {
      await stop(udp, tcp);
      if (port !== 0 || errorCode(error) !== 'EADDRINUSE') throw error;
    }
  }
}

async function stop(udp: Socket, tcp: Server): Promise<void> {
  udp.close();
  tcp.close();
  await Promise.all([once(udp, 'close'), once(tcp, 'close')]);
}

function readQuestion(query: Buffer): { name: string; type: string; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let size = query[at]!; size > 0; size = query[at]!) {
    labels.push(query.toString('latin1', at + 1, at + 1 + size));
    at += 1 + size;
  }
  return {
    name: labels.join('.').toLowerCase(),
    type: TYPES[query.readUInt16BE(at + 1)] ?? '?',
    end: at + 5,
  };
}

function answerTo(
  question: Buffer,
  { name, type, zone }: { name: string; type: string; zone: DnsZone },
): Buffer {
  const data = zone[`${name} ${type}`];
  const isKnown = Object.keys(zone).some((key) => key.startsWith(`${name} `));
  const records = Array.isArray(data) ? (data as string[]).map((text) => record(type, text)) : [];
  const header = Buffer.from(question.subarray(0, 12));
  header[2] = 0x81;
  let code = isKnown ? 0 : 3;
  if (data === 'SERVFAIL') code = 2;
  header[3] = 0x80 + code;
  header.writeUInt16BE(records.length, 6);
  header.writeUInt16BE(0, 10);
  return Buffer.concat([header, question.subarray(12), ...records]);
}

/** A record whose owner is the question's name. */
function record(type: string, text: string): Buffer {
  const data = encodeData(type, text);
  const number = Number(Object.keys(TYPES).find((key) => TYPES[Number(key)] === type));
  const head = Buffer.from([0xc0, 12, 0, number, 0, 1, 0, 0, 0, 60, data.length >> 8, data.length & 255]);
  return Buffer.concat([head, data]);
}

function encodeData(type: string, text: string): Buffer {
  if (type === 'A') return Buffer.from(text.split('.').map(Number));
  if (type === 'AAAA') return Buffer.from(text, 'hex');
  if (type === 'TXT') return withLength(text);
  const [first = '', second = '', ...rest] = text.split(' ');
  if (type === 'MX') return Buffer.concat([Buffer.from([0, Number(first)]), encodeData('PTR', second)]);
  if (type === 'TLSA') {
    const [matching = '', hex = ''] = rest;
    return Buffer.concat([Buffer.from([first, second, matching].map(Number)), Buffer.from(hex, 'hex')]);
  }
  return Buffer.concat([...text.split('.').filter(Boolean).map(withLength), Buffer.from([0])]);
}

function withLength(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text, 'latin1')]);
}

function truncated(packet: Buffer): Buffer {
  const { end } = readQuestion(packet);
  const cut = Buffer.from(packet.subarray(0, end));
  cut[2]! |= 2;
  cut.writeUInt16BE(0, 6);
  return cut;
}
