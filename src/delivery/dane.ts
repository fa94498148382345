// DANE for SMTP: what validated DNS says of the certificates of mail exchangers. One object goes along with one attempt to
// find a host: it looks names up for it, remembers which answers were validated, and says what that asks of each host.
// Source: RFC 7672 section 2. Differs: a mail exchanger whose name is an alias has its TLSA records under its own name only.

import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import type { DnsType } from '../core/protocol/dns/message.ts';
import { parseUsableTlsa } from '../core/protocol/dns/tlsa.ts';
import type { AskValidatingDns, DnsResult } from '../host/dns-client.ts';
import { createMailResolver } from './dns-mail-resolver.ts';
import type { MailResolver } from './mail-exchanger.ts';
import type { TlsDemand } from './tls-check.ts';

const SOURCE = 'DANE';

/** A resolver for one attempt, see the head of this file. */
export class DaneLookUp {
  readonly #ask: AskValidatingDns;
  /** Looks names up for the attempt. */
  readonly resolver: MailResolver;
  /** Whether what was found out about a name, `MX` or address, was validated as a whole. */
  readonly #secure = new Map<string, boolean>();

  constructor(ask: AskValidatingDns) {
    this.#ask = ask;
    this.resolver = createMailResolver((name, type) => this.#askAndNote(name, type));
  }

  /**
   * What DANE asks of a host; undefined if it has nothing to say about it.
   * @param domain whose mail goes there, if MX records led from it to the host
   * @returns or, in words, why the host must not be used now
   */
  async demandFor({
    domain,
    host,
    port,
  }: {
    readonly domain: string | undefined;
    readonly host: string;
    readonly port: number;
  }): Promise<TlsDemand | string | undefined> {
    // What led here could have been forged: then records of the host prove nothing (RFC 7672 section 2.2.1).
    if (domain !== undefined && this.#secure.get(`MX ${domain}`) !== true) return undefined;
    if (this.#secure.get(`address ${host}`) !== true) return undefined;
    const answer = await this.#ask(bytesOf(`_${port}._tcp.${host}`), 'TLSA');
    if (answer === 'failed') return 'its TLSA records cannot be looked up';
    if (!answer.isSecure || answer.records.length === 0) return undefined;
    const records = parseUsableTlsa(answer.records);
    if (records.length === 0) return { use: 'demanded', source: SOURCE };
    const names = domain === undefined || domain === host ? [host] : [host, domain];
    return { use: 'demanded', check: { kind: 'tlsa', names, records }, source: SOURCE };
  }

  async #askAndNote(name: Uint8Array, type: DnsType): Promise<DnsResult> {
    const answer = await this.#ask(name, type);
    if (answer === 'failed') return answer;
    const key = `${type === 'MX' ? 'MX' : 'address'} ${textOf(name)}`;
    this.#secure.set(key, (this.#secure.get(key) ?? true) && answer.isSecure);
    return answer.records;
  }
}
