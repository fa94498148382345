// Reads one request for a local delivery from a connection: its head, and its message into a file without a name, which a program can
// read from the beginning as often as it likes. Memory is taken for the head only.

import { closeSync, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { concatBytes } from '../core/bytes/bytes.ts';
import { type LocalRequest, parseRequestHead, REQUEST_HEAD_MAX } from '../core/format/local-request.ts';
import { makeNamelessFile } from './nameless-file.ts';

/** A request that came whole. */
export interface ReceivedRequest extends LocalRequest {
  /** Descriptor of the message, for reading, at its beginning. */
  readonly message: number;
  /** Lets go of the message. */
  close(): void;
}

/** Reads until the other side has ended. @returns undefined if it is no request, or not whole @throws Error of the system */
export async function receiveRequest(socket: Socket): Promise<ReceivedRequest | undefined> {
  const file = makeNamelessFile('hub-lspawn');
  try {
    const request = await receiveInto(socket, file.writing);
    if (request === undefined) closeSync(file.reading);
    return request && { ...request, message: file.reading, close: () => closeSync(file.reading) };
  } catch (error) {
    closeSync(file.reading);
    throw error;
  } finally {
    closeSync(file.writing);
  }
}

async function receiveInto(socket: Socket, descriptor: number): Promise<LocalRequest | undefined> {
  let head: Uint8Array = new Uint8Array(0);
  let request: LocalRequest | undefined;
  let length = 0;
  for await (const piece of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
    let body = piece;
    if (request === undefined) {
      head = concatBytes([head, piece]);
      const parsed = parseRequestHead(head);
      if (parsed === undefined && head.length > REQUEST_HEAD_MAX) return undefined;
      if (parsed === undefined) continue;
      request = parsed.request;
      body = head.subarray(parsed.headLength);
    }
    for (let at = 0; at < body.length; ) at += writeSync(descriptor, body, at);
    length += body.length;
  }
  return request?.length === length ? request : undefined;
}
