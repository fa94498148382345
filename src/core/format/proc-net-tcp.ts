// Linux's table of TCP sockets, /proc/net/tcp and /proc/net/tcp6: which addresses a socket has. Source: proc(5).

import { textOf } from '../bytes/bytes.ts';

/** The ends of a connection; addresses as numbers with dots, or groups of hexadecimal digits with colons. */
export interface SocketEnds {
  readonly localIp: string;
  readonly localPort: number;
  readonly remoteIp: string;
  readonly remotePort: number;
}

const LOCAL = 1;
const REMOTE = 2;
const INODE = 9;
const MAPPED = '0000:0000:0000:0000:0000:ffff:';

/** Finds a socket in a table by its inode number; undefined if the table has it not. The machine is little-endian. */
export function findSocketEnds(table: Uint8Array, inode: string): SocketEnds | undefined {
  for (const line of textOf(table).split('\n')) {
    const fields = line.split(' ').filter((field) => field !== '');
    if (fields[INODE] !== inode) continue;
    const local = parseEnd(fields[LOCAL] ?? '');
    const remote = parseEnd(fields[REMOTE] ?? '');
    if (local === undefined || remote === undefined) return undefined;
    return { localIp: local.ip, localPort: local.port, remoteIp: remote.ip, remotePort: remote.port };
  }
  return undefined;
}

/** `0100007F:0272`: words of 32 bits as the machine has them, and a port. */
function parseEnd(text: string): { ip: string; port: number } | undefined {
  const [digits = '', port = ''] = text.split(':');
  if (port === '' || (digits.length !== 8 && digits.length !== 32)) return undefined;
  const bytes: string[] = [];
  for (let word = 0; word < digits.length; word += 8)
    for (let at = 6; at >= 0; at -= 2) bytes.push(digits.substring(word + at, word + at + 2).toLowerCase());
  return { ip: digits.length === 8 ? decimal(bytes, 0) : ipv6(bytes), port: parseInt(port, 16) };
}

function ipv6(bytes: readonly string[]): string {
  let ip = '';
  for (let i = 0; i < bytes.length; i += 2) ip += `${i === 0 ? '' : ':'}${bytes[i]}${bytes[i + 1]}`;
  return ip.substring(0, MAPPED.length) === MAPPED ? decimal(bytes, 12) : ip;
}

/** An IPv4 address from the four bytes at that place. */
function decimal(bytes: readonly string[], at: number): string {
  const numbers: number[] = [];
  for (let i = at; i < at + 4; i++) numbers.push(parseInt(bytes[i] ?? '', 16));
  return numbers.join('.');
}
