// Whether block lists let a client send mail, as rblsmtpd decides: list after list, until one says something. Without input or
// output: it names the look-up that it needs, and is told the result. Source: the rblsmtpd page of cr.yp.to/ucspi-tcp.
// Invariant: once a look-up has failed, no refusal is for good.

import { bytesOf, concatBytes } from '../bytes/bytes.ts';
import { reverseDnsName } from '../protocol/dns/name.ts';

/** A list, and what it means to be on it. */
export interface ClientList {
  /** The name under which it is asked; a client on a list has a TXT record there, on an anti-list an A record. */
  readonly base: Uint8Array;
  readonly isAntiList: boolean;
  /** Whether clients on the list are refused for good. */
  readonly isPermanent: boolean;
  /** Whether a client counts as listed, or not as anti-listed, when nobody could tell. */
  readonly failsClosed: boolean;
}

/** What became of it: the line without its end that refuses the client, or nothing against it. */
export type ScreeningVerdict = { readonly refusal: Uint8Array | undefined };

/** A look-up that is needed; its result goes to {@link ClientScreening.answer}. */
export interface ScreeningQuestion {
  readonly name: Uint8Array;
  readonly type: 'TXT' | 'A';
}

const DASH = 45;
const TEXT_MAX = 200;
const LOOKUP_FAILED = bytesOf('temporary RBL lookup error');

/** One client's way through the lists. */
export class ClientScreening {
  readonly #ip: Uint8Array;
  readonly #lists: readonly ClientList[];
  #index = 0;
  #hasFailed = false;
  #verdict: ScreeningVerdict | undefined;

  /** @param given `$RBLSMTPD`, if it is set: nothing lets the client in, a text refuses it, for good with a dash before it */
  constructor({
    ip,
    lists,
    given,
  }: { ip: Uint8Array; lists: readonly ClientList[]; given: Uint8Array | undefined }) {
    this.#ip = ip;
    this.#lists = lists;
    if (given === undefined) return;
    const isPermanent = given[0] === DASH;
    this.#verdict = {
      refusal: given.length > 0 ? refusalLine(isPermanent, given.subarray(isPermanent ? 1 : 0)) : undefined,
    };
  }

  /** The next look-up, or the verdict; the same until it is answered. */
  next(): ScreeningQuestion | ScreeningVerdict {
    for (; this.#verdict === undefined; this.#index++) {
      const list = this.#lists[this.#index];
      if (list === undefined) return { refusal: undefined };
      const name = reverseDnsName(this.#ip, { ipv4: list.base, ipv6: list.base });
      // A client without an address is on no list.
      if (name !== undefined) return { name, type: list.isAntiList ? 'A' : 'TXT' };
    }
    return this.#verdict;
  }

  /** Takes the result of the look-up that next() named: the data of the records, or that nobody could tell. */
  answer(records: readonly Uint8Array[] | 'failed'): void {
    const list = this.#lists[this.#index++];
    if (list === undefined) return;
    if (records === 'failed') {
      this.#hasFailed = true;
      if (list.isAntiList && !list.failsClosed) this.#verdict = { refusal: undefined };
      if (!list.isAntiList && list.failsClosed)
        this.#verdict = { refusal: refusalLine(false, LOOKUP_FAILED) };
      return;
    }
    const text = list.isAntiList ? records[0] : concatBytes(records);
    if (text === undefined || text.length === 0) return;
    this.#verdict = {
      refusal: list.isAntiList ? undefined : refusalLine(list.isPermanent && !this.#hasFailed, text),
    };
  }
}

/** The reply, with question marks for all that is not printable ASCII. */
function refusalLine(isPermanent: boolean, text: Uint8Array): Uint8Array {
  const line = concatBytes([bytesOf(isPermanent ? '553 ' : '451 '), text.subarray(0, TEXT_MAX)]);
  for (let i = 0; i < line.length; i++) if (line[i]! < 32 || line[i]! > 126) line[i] = 63;
  return line;
}
