// The questions of mail-exchanger.ts to djb's kind of resolver, for a program that lives for one message: name servers from
// $DNSCACHEIP or resolv.conf, no cache, no system library. Names that cannot be asked for have no records.

import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import type { DnsType } from '../core/protocol/dns/message.ts';
import { encodeDnsName } from '../core/protocol/dns/name.ts';
import type { AskDns } from '../host/dns-client.ts';
import type { MailResolver } from './mail-exchanger.ts';

/** Makes a resolver of a way to ask. Its answers are empty where there are no records; it rejects if nobody could tell. */
export function createMailResolver(askDns: AskDns): MailResolver {
  const ask = async (name: string, type: DnsType) => {
    const wireName = bytesOf(name);
    if (encodeDnsName(wireName) === undefined) return [];
    const answers = await askDns(wireName, type);
    if (answers !== 'failed') return answers;
    throw Object.assign(new Error(`Cannot look up ${type} of ${name}: no answer`), { code: 'ETIMEOUT' });
  };
  return {
    async resolveMx(name) {
      const answers = await ask(name, 'MX');
      return answers.map((data) => ({
        priority: data[0]! * 256 + data[1]!,
        exchange: textOf(data.subarray(2)),
      }));
    },
    resolve4: async (name) => (await ask(name, 'A')).map((data) => data.join('.')),
    resolve6: async (name) => (await ask(name, 'AAAA')).map(formatIpv6),
  };
}

/** In the usual short form, in which addresses of this host are written too. */
function formatIpv6(data: Uint8Array): string {
  const { SocketAddress } = process.getBuiltinModule('node:net');
  const groups = Array.from({ length: 8 }, (_, i) => (data[2 * i]! * 256 + data[2 * i + 1]!).toString(16));
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address;
}
