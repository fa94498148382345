// Questions to a DNS server and its answers. Hostile input: an answer is believed only if it repeats the question and its
// number; no length or pointer in it leads outside of it. Sources: RFC 1035 section 4; RFC 6891 (EDNS), RFC 6840 section 5.7
// (what AD means in a question), RFC 6698 (TLSA).

import { concatBytes, copyBytes, lowerByte } from '../../bytes/bytes.ts';
import { encodeDnsName, readDnsName } from './name.ts';

/** Types of records that can be asked for. */
export const DNS_TYPE = { A: 1, PTR: 12, MX: 15, TXT: 16, AAAA: 28, TLSA: 52 } as const;

/** Name of a record type. */
export type DnsType = keyof typeof DNS_TYPE;

const CLASS_IN = 1;
const HEADER_BYTES = 12;
const RECORD_HEAD_BYTES = 10;
const NO_SUCH_NAME = 3;
/** In the fourth byte of a message: the server has validated what it says. */
const AUTHENTIC_DATA = 32;
/** A root name, OPT, UDP answers of up to 1232 bytes, version 0, DO, no options. */
const OPT_RECORD = [0, 0, 41, 4, 208, 0, 0, 128, 0, 0, 0];

/**
 * The bytes of a recursive question, or undefined if the name has no wire form.
 * @param id 0 to 65535
 * @param asksValidation whether the server shall say that it has validated the answer, see {@link DnsAnswer}
 */
export function encodeDnsQuery(
  id: number,
  name: Uint8Array,
  type: DnsType,
  asksValidation = false,
): Uint8Array | undefined {
  const wireName = encodeDnsName(name);
  if (wireName === undefined) return undefined;
  const header = new Uint8Array(HEADER_BYTES);
  header[0] = id >> 8;
  header[1] = id & 255;
  header[2] = 1;
  header[5] = 1;
  const question = new Uint8Array([0, DNS_TYPE[type], 0, CLASS_IN]);
  if (!asksValidation) return concatBytes([header, wireName, question]);
  header[3] = AUTHENTIC_DATA;
  header[11] = 1;
  return concatBytes([header, wireName, question, new Uint8Array(OPT_RECORD)]);
}

/** What a server answered. */
export interface DnsAnswer {
  /**
   * In order; none means that there are none. A name in text (PTR), 4 or 16 bytes (A, AAAA), the strings joined (TXT), two bytes of
   * preference and a name in text (MX), as they are (TLSA).
   */
  readonly records: Uint8Array[];
  /** Whether the server says that it has validated the answer, or that there is none (DNSSEC). */
  readonly isSecure: boolean;
}

/**
 * What a packet says: `unrelated` if it does not answer this query, `truncated` if the answer has to be fetched by TCP,
 * `failed` if the server has no answer or one that makes no sense; else the answer.
 */
export function parseDnsAnswer(
  query: Uint8Array,
  packet: Uint8Array,
): 'unrelated' | 'truncated' | 'failed' | DnsAnswer {
  const questionEnd = readDnsName(query, HEADER_BYTES)!.end + 4;
  const question = query.subarray(0, questionEnd);
  if (packet.length < questionEnd || !repeats(question, packet)) return 'unrelated';
  if ((packet[2]! & 2) !== 0) return 'truncated';
  const code = packet[3]! & 15;
  if (code !== 0 && code !== NO_SUCH_NAME) return 'failed';
  const records = readAnswers(packet, { from: questionEnd, type: numberAt(question, questionEnd - 4) });
  return records === undefined ? 'failed' : { records, isSecure: (packet[3]! & AUTHENTIC_DATA) !== 0 };
}

/** Whether a packet is an answer with the query's number, and has the same question, whatever the case of letters. */
function repeats(query: Uint8Array, packet: Uint8Array): boolean {
  if (packet[0] !== query[0] || packet[1] !== query[1]) return false;
  if ((packet[2]! & 128) === 0 || numberAt(packet, 4) !== 1) return false;
  for (let i = HEADER_BYTES; i < query.length; i++) {
    if (lowerByte(packet[i]!) !== lowerByte(query[i]!)) return false;
  }
  return true;
}

function readAnswers(
  packet: Uint8Array,
  { from, type }: { from: number; type: number },
): Uint8Array[] | undefined {
  const answers: Uint8Array[] = [];
  let at = from;
  for (let left = numberAt(packet, 6); left > 0; left--) {
    const owner = readDnsName(packet, at);
    if (owner === undefined || owner.end + RECORD_HEAD_BYTES > packet.length) return undefined;
    const start = owner.end + RECORD_HEAD_BYTES;
    const end = start + numberAt(packet, owner.end + 8);
    if (end > packet.length) return undefined;
    if (numberAt(packet, owner.end) === type && numberAt(packet, owner.end + 2) === CLASS_IN) {
      const data = readData(packet, { start, end, type });
      if (data === undefined) return undefined;
      answers.push(data);
    }
    at = end;
  }
  return answers;
}

function readData(
  packet: Uint8Array,
  { start, end, type }: { start: number; end: number; type: number },
): Uint8Array | undefined {
  if (type === DNS_TYPE.PTR) return readDnsName(packet, start)?.text;
  const data = packet.subarray(start, end);
  if (type === DNS_TYPE.MX) {
    const exchanger = data.length > 2 ? readDnsName(packet, start + 2) : undefined;
    return exchanger && concatBytes([data.subarray(0, 2), exchanger.text]);
  }
  if (type === DNS_TYPE.A) return data.length === 4 ? copyBytes(data) : undefined;
  if (type === DNS_TYPE.AAAA) return data.length === 16 ? copyBytes(data) : undefined;
  if (type === DNS_TYPE.TLSA) return copyBytes(data);
  const strings: Uint8Array[] = [];
  for (let at = 0; at < data.length; ) {
    const length = data[at]!;
    if (at + 1 + length > data.length) return undefined;
    strings.push(data.subarray(at + 1, at + 1 + length));
    at += 1 + length;
  }
  return concatBytes(strings);
}

function numberAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 256 + bytes[at + 1]!;
}
