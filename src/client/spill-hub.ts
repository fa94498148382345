// Which hub may have a message, as a number for the name of its file: so that it is offered to that hub only, which can tell.

import { bytesOf } from '../core/bytes/bytes.ts';
import type { ServerAddress } from '../core/format/server-list.ts';
import { hubOf } from './qmqp-submit-again.ts';

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** The number of a server's hub, the same for all lines of the hub; undefined without the word `hub`. Source: FNV-1a, 32 bits. */
export function hubNumber(server: ServerAddress): number | undefined {
  const hub = hubOf(server);
  if (hub === undefined) return undefined;
  let number = FNV_OFFSET;
  for (const byte of bytesOf(hub)) number = Math.imul(number ^ byte, FNV_PRIME) >>> 0;
  return number;
}
