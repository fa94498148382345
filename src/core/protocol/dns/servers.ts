// Which DNS servers to ask: `$DNSCACHEIP`, else those of resolv.conf, else this host's own. Source: the dns library's page
// at cr.yp.to/djbdns/dns.html. Differs: IPv6 addresses in resolv.conf count too.

import { bytesOf, findByte, startsWith, textOf } from '../../bytes/bytes.ts';
import { parseIpv4, parseIpv6 } from '../../format/ip-address.ts';

const SERVERS_MAX = 16;
const LF = 10;
const DOT = 46;
const NAMESERVER = bytesOf('nameserver');

/** Addresses of at most 16 servers, at least one. The value is addresses joined by dots: four numbers make one. */
export function listDnsServers(dnsCacheIp: Uint8Array | undefined, resolvConf: Uint8Array): string[] {
  const chosen = dnsCacheIp === undefined ? [] : splitQuads(dnsCacheIp);
  const servers = chosen.length > 0 ? chosen : nameServers(resolvConf);
  return servers.length > 0 ? servers : ['127.0.0.1'];
}

function splitQuads(value: Uint8Array): string[] {
  const servers: string[] = [];
  let numbers: number[] = [];
  let at = 0;
  while (at < value.length && servers.length < SERVERS_MAX) {
    if (value[at] === DOT) {
      at++;
      continue;
    }
    let number = 0;
    const from = at;
    for (; at < value.length && value[at]! >= 48 && value[at]! <= 57; at++) {
      number = (number * 10 + value[at]! - 48) % 256;
    }
    if (at === from) break;
    numbers.push(number);
    if (numbers.length < 4) continue;
    servers.push(numbers.join('.'));
    numbers = [];
  }
  return servers;
}

function nameServers(resolvConf: Uint8Array): string[] {
  const servers: string[] = [];
  for (let from = 0; from < resolvConf.length && servers.length < SERVERS_MAX; ) {
    const lf = findByte(resolvConf, LF, from);
    const line = resolvConf.subarray(from, lf < 0 ? resolvConf.length : lf);
    from = lf < 0 ? resolvConf.length : lf + 1;
    if (!startsWith(line, NAMESERVER)) continue;
    const word = firstWord(line.subarray(NAMESERVER.length));
    if (parseIpv4(word) !== undefined || parseIpv6(word) !== undefined) servers.push(textOf(word));
  }
  return servers;
}

/** What stands behind spaces and tabs, of which there must be one, up to the next. */
function firstWord(text: Uint8Array): Uint8Array {
  let from = 0;
  while (isBlank(text[from])) from++;
  if (from === 0) return text.subarray(0, 0);
  let end = from;
  while (end < text.length && !isBlank(text[end])) end++;
  return text.subarray(from, end);
}

function isBlank(byte: number | undefined): boolean {
  return byte === 32 || byte === 9 || byte === 13;
}
