// The entries of control/rcptcheck: socketmap servers as Postfix writes them, `inet:HOST:PORT:NAME` or `unix:PATH:NAME`, with
// an IPv6 address in brackets. Source: Postfix's socketmap_table(5).

import { bytesOf, copyBytes, findByte, findLastByte, startsWith, textOf } from '../bytes/bytes.ts';

/** Where a map is: a host, one character per byte, and port or the path of a socket file, and its name there. */
export type SocketmapAddress =
  | { readonly kind: 'inet'; readonly host: string; readonly port: number; readonly name: Uint8Array }
  | { readonly kind: 'unix'; readonly path: Uint8Array; readonly name: Uint8Array };

const INET = bytesOf('inet:');
const UNIX = bytesOf('unix:');
const SPACE = 32;
const SLASH = 47;
const COLON = 58;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;
const PORT_MAX = 65_535;

/** Reads an entry; undefined if it is none: no kind, no host, a port out of 1 to 65535, a path not from the root, no name. */
export function parseSocketmapAddress(entry: Uint8Array): SocketmapAddress | undefined {
  const colon = findLastByte(entry, COLON);
  const name = copyBytes(entry.subarray(colon + 1));
  if (colon < INET.length || name.length === 0 || findByte(name, SPACE) >= 0) return undefined;
  const place = entry.subarray(INET.length, colon);
  if (startsWith(entry, UNIX))
    return place[0] === SLASH ? { kind: 'unix', path: copyBytes(place), name } : undefined;
  const portColon = findLastByte(place, COLON);
  if (!startsWith(entry, INET) || portColon < 0) return undefined;
  const port = readPort(place.subarray(portColon + 1));
  const host = readHost(place.subarray(0, portColon));
  return host === undefined || port === undefined ? undefined : { kind: 'inet', host, port, name };
}

function readHost(bytes: Uint8Array): string | undefined {
  if (bytes[0] === OPEN_BRACKET) {
    const end = bytes.length - 1;
    return end > 1 && bytes[end] === CLOSE_BRACKET ? textOf(bytes.subarray(1, end)) : undefined;
  }
  return bytes.length > 0 && findByte(bytes, COLON) < 0 ? textOf(bytes) : undefined;
}

function readPort(digits: Uint8Array): number | undefined {
  if (digits.length < 1 || digits.length > 5) return undefined;
  let port = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits[i]! - 48;
    if (digit < 0 || digit > 9) return undefined;
    port = port * 10 + digit;
  }
  return port >= 1 && port <= PORT_MAX ? port : undefined;
}
