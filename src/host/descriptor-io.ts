// Bytes in and out of a connection without its nature showing: a socket of a server in this process, or the descriptors
// 0 and 1 that a program like tcpserver or a shell gave us, be they one socket, pipes or files.
// Invariant: nothing is read before it is asked for, so a slow reader slows the peer down and not this process's memory.

import { fstatSync, read as readFromDescriptor, type Stats } from 'node:fs';
import type { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { writeBlocking } from './blocking-io.ts';

/** Bytes from a peer, asked for piece by piece; one read at a time. */
export interface ByteInput {
  /** The next bytes, one or more; undefined when there will be no more, because of an end or an error. */
  read(): Promise<Uint8Array | undefined>;
}

/** Bytes to a peer. */
export interface ByteOutput {
  /** Resolves when the kernel has the bytes, to whether it took them. */
  write(parts: readonly Uint8Array[]): Promise<boolean>;
}

/** Reads from a stream; errors of the stream are its end. */
export function streamInput(stream: Readable): ByteInput {
  let wake = (): void => {};
  let isOver = false;
  for (const event of ['end', 'error', 'close']) {
    stream.on(event, () => {
      isOver = true;
      wake();
    });
  }
  stream.on('readable', () => wake());
  return {
    async read() {
      for (;;) {
        const bytes: Uint8Array | null = stream.read();
        if (bytes !== null) return bytes;
        if (isOver) return undefined;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

/** Writes to a stream; whoever owns the stream ends it. */
export function streamOutput(stream: Writable): ByteOutput {
  stream.on('error', () => {});
  return {
    write(parts) {
      const whole = Buffer.concat(parts);
      return new Promise((resolve) => stream.write(whole, (error) => resolve(!error)));
    },
  };
}

/** The process's descriptors 0 and 1. Call it once. */
export function openStandardInputOutput(): { input: ByteInput; output: ByteOutput } {
  const socket = openStandardSocket();
  if (socket !== undefined) return { input: streamInput(socket), output: streamOutput(socket) };
  const [from, to] = [statOf(0), statOf(1)];
  return {
    input: isStream(from) ? streamInput(openSocket(0, true, false)) : fileInput(0),
    output: isStream(to) ? streamOutput(openSocket(1, false, true)) : fileOutput(1),
  };
}

/** The socket that is both descriptor 0 and 1, if it is; call it once. */
export function openStandardSocket(): Socket | undefined {
  const [from, to] = [statOf(0), statOf(1)];
  const isOneSocket = from?.isSocket() === true && from.ino === to?.ino && from.dev === to.dev;
  return isOneSocket ? openSocket(0, true, true) : undefined;
}

function statOf(descriptor: number): Stats | undefined {
  try {
    return fstatSync(descriptor);
  } catch {
    return undefined;
  }
}

function isStream(status: Stats | undefined): boolean {
  return status !== undefined && (status.isSocket() || status.isFIFO());
}

function openSocket(descriptor: number, readable: boolean, writable: boolean): Socket {
  const net = process.getBuiltinModule('node:net');
  return new net.Socket({ fd: descriptor, readable, writable, allowHalfOpen: true });
}

const READ_SIZE = 65_536;

function fileInput(descriptor: number): ByteInput {
  return {
    read: () =>
      new Promise((resolve) => {
        const buffer = new Uint8Array(READ_SIZE);
        readFromDescriptor(descriptor, buffer, 0, READ_SIZE, null, (error, length) =>
          resolve(error || length === 0 ? undefined : buffer.subarray(0, length)),
        );
      }),
  };
}

function fileOutput(descriptor: number): ByteOutput {
  return {
    async write(parts) {
      try {
        for (const part of parts) writeBlocking(descriptor, part);
        return true;
      } catch {
        return false;
      }
    },
  };
}
