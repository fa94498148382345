// Lines of tcpserver's log. Source: the tcpserver page of cr.yp.to/ucspi-tcp. Invariant: no name or answer from outside can
// add a field or a line, or make one longer than 100 bytes and three dots.

import { ByteBuffer } from '../bytes/byte-buffer.ts';

const FIELD_MAX = 100;
const COLON = 58;
const PERCENT = 37;
const QUESTION = 63;

/** The two ends of a connection; an unknown name is empty. */
export interface LoggedConnection {
  /** What stands for the connection in all its lines. */
  readonly pid: number;
  readonly localHost: Uint8Array | undefined;
  readonly localIp: string;
  readonly localPort: number;
  readonly remoteHost: Uint8Array | undefined;
  readonly remoteIp: string;
  readonly remoteInfo: Uint8Array | undefined;
  readonly remotePort: number;
}

/**
 * The line that says whether a connection was let in, with its LF. Differs: colons of IPv6 addresses are question marks, as
 * the original would print them; the line about the process has the address as it is.
 */
export function formatVerdictLine(isAllowed: boolean, connection: LoggedConnection): Uint8Array {
  const line = new ByteBuffer(160);
  line.appendText(`tcpserver: ${isAllowed ? 'ok' : 'deny'} ${connection.pid} `);
  appendField(line, connection.localHost);
  line.appendText(':');
  appendText(line, connection.localIp);
  line.appendText(`:${connection.localPort} `);
  appendField(line, connection.remoteHost);
  line.appendText(':');
  appendText(line, connection.remoteIp);
  line.appendText(':');
  appendField(line, connection.remoteInfo);
  line.appendText(`:${connection.remotePort}\n`);
  return line.toBytes();
}

function appendText(line: ByteBuffer, ip: string): void {
  for (let i = 0; i < ip.length; i++) line.appendByte(safeByte(ip.charCodeAt(i)));
}

function appendField(line: ByteBuffer, field: Uint8Array | undefined): void {
  if (field === undefined) return;
  const length = Math.min(field.length, FIELD_MAX);
  for (let i = 0; i < length; i++) line.appendByte(safeByte(field[i]!));
  // So does the original for a field of exactly that length.
  if (length === FIELD_MAX) line.appendText('...');
}

function safeByte(byte: number): number {
  return byte < 33 || byte > 126 || byte === COLON || byte === PERCENT ? QUESTION : byte;
}
