// Reads one request for a local delivery from a connection: its head, and its message into a file without a name, which a program can
// read from the beginning as often as it likes. Memory is taken for the head only.

import { closeSync, constants, openSync, unlinkSync, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { concatBytes } from '../core/bytes/bytes.ts';
import { type LocalRequest, parseRequestHead, REQUEST_HEAD_MAX } from '../core/format/local-request.ts';

/** A request that came whole. */
export interface ReceivedRequest extends LocalRequest {
  /** Descriptor of the message, for reading, at its beginning. */
  readonly message: number;
  /** Lets go of the message. */
  close(): void;
}

/** Reads until the other side has ended. @returns undefined if it is no request, or not whole @throws Error of the system */
export async function receiveRequest(socket: Socket): Promise<ReceivedRequest | undefined> {
  const file = makeNamelessFile();
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

/** The same file open for writing and for reading: whoever gets the second cannot change the message for others. */
function makeNamelessFile(): { writing: number; reading: number } {
  const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL } = constants;
  const path = join(tmpdir(), `hub-lspawn.${process.pid}.${crypto.randomUUID()}`);
  const writing = openSync(path, O_WRONLY | O_CREAT | O_EXCL, 0o600);
  try {
    return { writing, reading: openSync(path, O_RDONLY) };
  } catch (error) {
    closeSync(writing);
    throw error;
  } finally {
    unlinkSync(path);
  }
}
