// qmail-remote: sends one message to recipients at one host, and says what became of it in reports, each with a NUL behind
// it. The session is core/protocol/smtp/client-session.ts; here are control files, addresses, the socket and time.
// Invariants: whatever happens ends in a message report; the first host that takes the connection decides.
// Source: the qmail-remote manual page. Differs: see the manual page.

import type { Socket } from 'node:net';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { type DomainMap, parseDomainMap } from '../core/format/domain-map.ts';
import { parseIpv4 } from '../core/format/ip-address.ts';
import { findHostDestination } from '../core/policy/route.ts';
import { NO_CONNECTION, unspokenReport } from '../core/policy/smtp-report.ts';
import { reportUnsendable, SmtpClientSession } from '../core/protocol/smtp/client-session.ts';
import type { Clock } from '../host/clock.ts';
import { readControlLine, readControlList, readControlNumber } from '../host/control.ts';
import { type ByteInput, type ByteOutput, streamInput, streamOutput } from '../host/descriptor-io.ts';
import { createDnsClient, readDnsServers } from '../host/dns-client.ts';
import { canEnter } from '../host/invocation.ts';
import type { Environment } from '../host/raw-arguments.ts';
import { errorCode, SystemError } from '../host/system-error.ts';
import { createMailResolver } from './dns-mail-resolver.ts';
import { findMailHosts, readOwnAddresses } from './mail-exchanger.ts';
import { openTcpto, type TcptoMemory } from './tcpto-file.ts';

/** What the program is run with. */
export interface QmailRemoteOptions {
  readonly home: string;
  /** Host, sender, recipients. */
  readonly args: readonly Uint8Array[];
  readonly env: Environment;
  readonly clock: Clock;
  /** Reads the next piece of the message; empty at its end. @throws SystemError */
  readonly readMessage: () => Uint8Array;
}

interface Controls {
  readonly heloName: Uint8Array;
  readonly smtproutes: DomainMap;
  readonly timeoutConnectMs: number;
  readonly timeoutRemoteMs: number;
}

const MISUSED = 'DI (qmail-remote) was invoked improperly. (#5.3.5)\n';
const NO_HOME = 'ZUnable to switch to home directory. (#4.3.0)\n';
const NO_CONTROL = 'ZUnable to read control files. (#4.3.0)\n';
const NO_MEMORY = 'ZOut of memory. (#4.3.0)\n';
const NO_RESOURCES = 'ZSystem resources temporarily unavailable. (#4.3.0)\n';
const ARGUMENTS_MIN = 3;

/** Codes of errors that say that this host has no socket to give. */
const NO_SOCKET = ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EACCES'];

/** Runs the program: what to write to standard output, every report with its NUL. Never rejects. */
export async function runQmailRemote(options: QmailRemoteOptions): Promise<string> {
  let reports: readonly string[];
  try {
    reports = await send(options);
  } catch (error) {
    // What V8 throws when it cannot allocate so large an array.
    reports = [error instanceof RangeError ? NO_MEMORY : NO_RESOURCES];
  }
  return reports.map((report) => `${report}\0`).join('');
}

async function send(options: QmailRemoteOptions): Promise<readonly string[]> {
  const { home, args, env, clock } = options;
  const [host, sender, ...recipients] = args;
  if (host === undefined || sender === undefined || args.length < ARGUMENTS_MIN) return [MISUSED];
  if (!canEnter(home)) return [NO_HOME];
  const controls = readControls(home);
  if (controls === undefined) return [NO_CONTROL];
  const unsendable = reportUnsendable({ sender, recipients });
  if (unsendable !== undefined) return unsendable;
  const { host: name, ...destination } = findHostDestination(host, controls.smtproutes);
  // SMTP in clear there would meet silence, or the answer to one recipient would be taken for that to all.
  if (destination.protocol !== undefined) {
    const { letter, text } = unspokenReport(textOf(host), destination.protocol.toUpperCase());
    return [letter + text];
  }
  const servers = readDnsServers(env.get('DNSCACHEIP'));
  const found = await findMailHosts(
    { ...destination, host: quadOf(name) ?? name },
    {
      resolver: createMailResolver(createDnsClient({ servers, clock })),
      ownAddresses: readOwnAddresses,
      random: Math.random,
    },
  );
  if (!found.found) return [found.outcome.letter + found.outcome.text];
  const memory = openTcpto(home, clock, env);
  for (const { address } of found.hosts) {
    const socket = await connectUnlessTimedOut(
      { address, port: destination.port },
      { memory, clock, controls },
    );
    if (socket === undefined) continue;
    const session = new SmtpClientSession({
      ...{ heloName: controls.heloName, partner: address, sender, recipients },
    });
    await converse(session, socket, {
      clock,
      timeoutMs: controls.timeoutRemoteMs,
      read: options.readMessage,
    });
    return session.reports;
  }
  return [NO_CONNECTION.letter + NO_CONNECTION.text];
}

/** Undefined if a file cannot be read, or neither helohost nor me exists. */
function readControls(home: string): Controls | undefined {
  try {
    const heloName = readControlLine(home, 'helohost') ?? readControlLine(home, 'me');
    if (heloName === undefined) return undefined;
    return {
      heloName,
      smtproutes: parseDomainMap(readControlList(home, 'smtproutes') ?? []),
      timeoutConnectMs: readControlNumber(home, 'timeoutconnect', 60) * 1000,
      timeoutRemoteMs: readControlNumber(home, 'timeoutremote', 1200) * 1000,
    };
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}

/** A dotted quad, with or without brackets, whose numbers count modulo 256, in its usual form; undefined if it is none. */
function quadOf(host: string): string | undefined {
  const match = /^(?:\[(\d+)\.(\d+)\.(\d+)\.(\d+)\]|(\d+)\.(\d+)\.(\d+)\.(\d+))$/.exec(host);
  if (match === null) return undefined;
  const numbers = match.slice(1).filter((digits) => digits !== undefined);
  return numbers
    .map((digits) => [...digits].reduce((sum, digit) => (sum * 10 + Number(digit)) % 256, 0))
    .join('.');
}

/** A connection; undefined if there is none, or the address has not answered lately. @throws Error if this host has no socket */
async function connectUnlessTimedOut(
  { address, port }: { readonly address: string; readonly port: number },
  { memory, clock, controls }: { memory: TcptoMemory; clock: Clock; controls: Controls },
): Promise<Socket | undefined> {
  // There is no room for addresses of IPv6 in the table.
  const ip = parseIpv4(bytesOf(address));
  if (ip !== undefined && memory.isTimedOut(ip)) return undefined;
  try {
    const socket = await connect({ address, port, timeoutMs: controls.timeoutConnectMs, clock });
    if (ip !== undefined) memory.note(ip, false);
    return socket;
  } catch (error) {
    const code = errorCode(error) ?? '';
    if (NO_SOCKET.includes(code)) throw error;
    if (ip !== undefined) memory.note(ip, code === 'ETIMEDOUT');
    return undefined;
  }
}

function connect(target: {
  readonly address: string;
  readonly port: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
}): Promise<Socket> {
  const { address, port, timeoutMs, clock } = target;
  return new Promise((resolve, reject) => {
    const socket = process.getBuiltinModule('node:net').connect({
      ...{ host: address, port, noDelay: true, allowHalfOpen: true },
    });
    const fail = (error: Error) => {
      callOff();
      socket.destroy();
      reject(error);
    };
    const callOff = clock.after(timeoutMs, () => {
      fail(Object.assign(new Error(`Cannot connect to ${address}: no answer`), { code: 'ETIMEDOUT' }));
    });
    socket.once('error', fail);
    socket.once('connect', () => {
      callOff();
      socket.off('error', fail);
      resolve(socket);
    });
  });
}

interface Conversation {
  readonly clock: Clock;
  /** For each read and each write. */
  readonly timeoutMs: number;
  readonly read: () => Uint8Array;
}

/** Runs a session on a connection to its end, and closes that. */
async function converse(
  session: SmtpClientSession,
  socket: Socket,
  conversation: Conversation,
): Promise<void> {
  const { clock, timeoutMs, read } = conversation;
  const input: ByteInput = streamInput(socket);
  const output: ByteOutput = streamOutput(socket);
  for (;;) {
    const need = session.next();
    const parts = session.takeOutput();
    if (parts.length > 0 && (await within(output.write(parts), clock, timeoutMs)) !== true)
      session.receiveEnd();
    if (need === 'closed') break;
    if (need === 'need-message') {
      passMessage(session, read);
      continue;
    }
    const bytes = await within(input.read(), clock, timeoutMs);
    if (bytes === undefined) session.receiveEnd();
    else session.receive(bytes);
  }
  socket.destroy();
}

function passMessage(session: SmtpClientSession, read: () => Uint8Array): void {
  try {
    const piece = read();
    if (piece.length > 0) session.sendMessage(piece);
    else session.endMessage();
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    session.failMessage();
  }
}

/** What a promise gives, or undefined if that takes too long. */
function within<T>(promise: Promise<T>, clock: Clock, timeoutMs: number): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const callOff = clock.after(timeoutMs, () => resolve(undefined));
    promise.finally(callOff).then(resolve, reject);
  });
}
