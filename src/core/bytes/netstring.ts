// Netstrings: decimal length without leading zeros, colon, that many bytes, comma. This file writes them; the QMQP
// sessions read them, each by its side's own rule of what a length may look like.
// Source: https://cr.yp.to/proto/netstrings.txt

import { bytesOf } from './bytes.ts';

const COMMA = 44;

/** What stands before the content of a netstring: `17:`. */
export function netstringHead(contentLength: number): string {
  return `${contentLength}:`;
}

/** How many bytes the netstring around so many bytes of content has in all. */
export function netstringLength(contentLength: number): number {
  return netstringHead(contentLength).length + contentLength + 1;
}

/** A new array with the netstring of `content`. */
export function encodeNetstring(content: Uint8Array): Uint8Array {
  const head = bytesOf(netstringHead(content.length));
  const whole = new Uint8Array(head.length + content.length + 1);
  whole.set(head);
  whole.set(content, head.length);
  whole[whole.length - 1] = COMMA;
  return whole;
}
