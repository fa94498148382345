// Questions and answers of the socketmap protocol as bytes: what stands in the netstrings. A question is the name of a map, a
// blank and a key; an answer is a word, a blank and data or a reason. Invariant: a key may hold any byte, a name no blank.
// Source: Postfix's socketmap_table(5); sendmail's README for K maps of class socket.

import { bytesOf, concatBytes, copyBytes, findByte, textOf } from '../../bytes/bytes.ts';

/** Bytes of one question or answer without its netstring, as Postfix limits them. */
export const SOCKETMAP_LENGTH_MAX = 100_000;

/** What an answer says: the key is there, it is not, or that it cannot be told: for now, in time, or ever. */
export type SocketmapStatus = 'OK' | 'NOTFOUND' | 'TEMP' | 'TIMEOUT' | 'PERM';

/** A question. */
export interface SocketmapQuery {
  /** Of the map, without a blank. */
  readonly name: Uint8Array;
  readonly key: Uint8Array;
}

/** An answer. */
export interface SocketmapReply {
  readonly status: SocketmapStatus;
  /** What was found, or why there is nothing; often empty. */
  readonly data: Uint8Array;
}

const SPACE = 32;
const STATUSES: readonly SocketmapStatus[] = ['OK', 'NOTFOUND', 'TEMP', 'TIMEOUT', 'PERM'];

/** The content of a question's netstring. */
export function formatSocketmapQuery({ name, key }: SocketmapQuery): Uint8Array {
  return concatBytes([name, bytesOf(' '), key]);
}

/** Reads the content of a question's netstring; undefined if it has no blank. Copies. */
export function parseSocketmapQuery(content: Uint8Array): SocketmapQuery | undefined {
  const space = findByte(content, SPACE);
  if (space < 0) return undefined;
  return { name: copyBytes(content.subarray(0, space)), key: copyBytes(content.subarray(space + 1)) };
}

/** The content of an answer's netstring; the blank is there even if nothing follows. */
export function formatSocketmapReply({ status, data }: SocketmapReply): Uint8Array {
  return concatBytes([bytesOf(`${status} `), data]);
}

/** Reads the content of an answer's netstring; undefined if it begins with no such word. The blank may lack at the end. Copies. */
export function parseSocketmapReply(content: Uint8Array): SocketmapReply | undefined {
  const space = findByte(content, SPACE);
  const end = space < 0 ? content.length : space;
  const word = textOf(content.subarray(0, end));
  for (let i = 0; i < STATUSES.length; i++) {
    const status = STATUSES[i]!;
    if (status === word) return { status, data: copyBytes(content.subarray(end + 1)) };
  }
  return undefined;
}
