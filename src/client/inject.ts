// qmail-inject: reads a message from standard input, completes its header and hands it to the queue program. All
// decisions are in core/message/inject.ts; this is the input and output around them. It can run inside another program
// (sendmail), so it looks at nothing but what it is given, and returns the exit code.
// The header is held in memory as a whole, since generated fields come first; the body is passed on as it comes.

import { bytesOf } from '../core/bytes/bytes.ts';
import { parseShortOptions } from '../core/format/short-options.ts';
import { HeaderSplitter } from '../core/message/header-field.ts';
import { Injection } from '../core/message/inject.ts';
import type { InjectObserver } from '../core/message/inject-observer.ts';
import { type InjectFailure, type RecipientSource, readInjectUser } from '../core/message/inject-settings.ts';
import { quoteAddress } from '../core/message/quote.ts';
import { outcomeOfQueueResult } from '../core/policy/outcome.ts';
import { complain, writeBlocking } from '../host/blocking-io.ts';
import type { Environment } from '../host/raw-arguments.ts';
import { readStandardInput } from '../host/standard-input.ts';
import { errorCode, SystemError } from '../host/system-error.ts';
import { type ControlOrigin, readFollowupLists, readInjectControls } from './inject-controls.ts';
import { openQueueProgram } from './open-queue-program.ts';

const STDOUT = 1;
const CHUNK_BYTES = 65536;
const LF = 10;

/** How qmail-inject is called. */
export interface InjectCall {
  /** Words after the program's name. */
  readonly args: readonly Uint8Array[];
  readonly env: Environment;
  /** The installation, absolute. */
  readonly home: string;
  /** Folder of our own programs. */
  readonly ownBin: string;
  /** Name for complaints about options. */
  readonly calledAs: string;
  readonly onlooker?: InjectOnlooker;
}

/** Somebody who is told what is decided and why, and gets the message in place of the queue program or standard output. */
export interface InjectOnlooker extends InjectObserver {
  onControl(origin: ControlOrigin): void;
  /** Something failed that the program has few words for, such as `read error`. */
  onTrouble(error: unknown): void;
  /** Reads the message, as {@link readStandardInput} does. */
  readInput(buffer: Uint8Array): number;
  /** @param isPrinted whether -n asks for standard output */
  openSink(sender: Uint8Array, isPrinted: boolean): Sink;
}

/** Where the completed message goes: the queue program, or standard output. The first write is the header. */
export interface Sink {
  write(bytes: Uint8Array): Promise<void> | undefined;
  finish(envelope: Uint8Array): Promise<InjectFailure | undefined>;
  abort(): Promise<void>;
}

interface Plan {
  readonly injection: Injection;
  readonly isPrinted: boolean;
}

/** Runs qmail-inject to its end; returns its exit code. Changes the working folder to the home. */
export async function runQmailInject(call: InjectCall): Promise<number> {
  const failure = await injectMessage(call);
  if (failure === undefined) return 0;
  if (failure.text.length > 0) complain(Buffer.concat([bytesOf('qmail-inject: fatal: '), failure.text]));
  return failure.exit;
}

/** Does all of qmail-inject's work. Undefined is success; a failure without text has been reported already. */
export async function injectMessage(call: InjectCall): Promise<InjectFailure | undefined> {
  try {
    const plan = prepare(call);
    return 'exit' in plan ? plan : await pass(call, plan);
  } catch (error) {
    call.onlooker?.onTrouble(error);
    return temporary(reasonOf(error));
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof SystemError) {
    const isTransfer = error.operation === 'read' || error.operation === 'write';
    return isTransfer ? `${error.operation} error` : 'unable to run qmail-queue';
  }
  if (error instanceof RangeError || errorCode(error) === 'ERR_MEMORY_ALLOCATION_FAILED')
    return 'out of memory';
  return `internal bug: ${String(error)}`;
}

/** Everything before the first byte of the message is read. */
function prepare(call: InjectCall): Plan | InjectFailure {
  const nowMs = Date.now();
  const user = readInjectUser((name) => call.env.get(name));
  const followupLists = readFollowupLists(call.env);
  try {
    process.chdir(call.home);
  } catch {
    return temporary('internal bug');
  }
  const controls = readInjectControls(call.home, call.env, (origin) => call.onlooker?.onControl(origin));
  if ('exit' in controls) return controls;

  const parsed = parseShortOptions(call.args, { plain: 'aAhHnN', withArgument: 'f', withRest: '' });
  const recipientSource = chooseSource(parsed.options, parsed.words.length > 0);
  const injection = new Injection({
    user,
    followupLists,
    ...controls,
    recipientSource,
    nowMs,
    pid: process.pid,
    observer: call.onlooker,
  });
  let isPrinted = false;
  for (const { letter, argument } of parsed.options) {
    if (letter === 'f') injection.setSender(argument);
    else if (letter === 'n') isPrinted = true;
    else if (letter === 'N') isPrinted = false;
  }
  if (injection.failure !== undefined) return injection.failure;
  if (parsed.problem !== undefined) {
    complain(`${call.calledAs}: ${parsed.problem}\n`);
    return { exit: 100, text: new Uint8Array(0) };
  }
  if (recipientSource !== 'header') for (const word of parsed.words) injection.addRecipient(word);
  return injection.failure ?? { injection, isPrinted };
}

/** The last of -a, -h, -H and -A counts; -A, the default, means -a if there are recipient arguments. */
function chooseSource(
  options: readonly { readonly letter: string }[],
  hasArguments: boolean,
): RecipientSource {
  let source: RecipientSource | undefined;
  for (const { letter } of options) {
    if (letter === 'a') source = 'arguments';
    else if (letter === 'h') source = 'header';
    else if (letter === 'H') source = 'both';
    else if (letter === 'A') source = undefined;
  }
  return source ?? (hasArguments ? 'arguments' : 'header');
}

/** Reads the message and passes it on. */
async function pass(call: InjectCall, { injection, isPrinted }: Plan): Promise<InjectFailure | undefined> {
  const { onlooker } = call;
  const splitter = new HeaderSplitter((field) => injection.onField(field));
  const buffer = new Uint8Array(CHUNK_BYTES);
  let sink: Sink | undefined;
  let lastByte = LF;
  try {
    for (;;) {
      const count = onlooker === undefined ? readStandardInput(buffer) : onlooker.readInput(buffer);
      let body = buffer.subarray(0, count);
      if (sink === undefined) {
        if (count === 0) splitter.receiveEnd();
        else body = body.subarray(splitter.receive(body));
        if (injection.failure !== undefined) return injection.failure;
        if (splitter.bodyStart === undefined) continue;
        const header = injection.finishHeader();
        if (header === undefined) return injection.failure;
        if (onlooker !== undefined) sink = onlooker.openSink(injection.sender, isPrinted);
        else sink = isPrinted ? openOutput(injection.sender) : openQueue(call);
        await sink.write(header);
        await sink.write(splitter.bodyStart);
      }
      if (count === 0) break;
      if (body.length === 0) continue;
      lastByte = body[body.length - 1]!;
      const room = sink.write(body);
      if (room !== undefined) await room;
    }
    if (lastByte !== LF) await sink.write(bytesOf('\n'));
    return await sink.finish(injection.envelope());
  } catch (error) {
    await sink?.abort();
    throw error;
  }
}

function openQueue({ home, ownBin, env }: InjectCall): Sink {
  const queue = openQueueProgram({ home, ownBin, env: env.strings, customText: false });
  return {
    write: (bytes) => queue.write(bytes),
    abort: () => queue.abort(),
    async finish(envelope) {
      const result = await queue.finish(envelope);
      if (result.notice !== undefined) complain(Buffer.from(`qmail-inject: warning: ${result.notice}\n`));
      const outcome = outcomeOfQueueResult(result);
      if (outcome.letter === 'K') return undefined;
      return { exit: outcome.letter === 'D' ? 100 : 111, text: bytesOf(`${outcome.text}\n`) };
    },
  };
}

/** Standard output in place of the queue, for -n; begins with the envelope sender. */
function openOutput(sender: Uint8Array): Sink {
  const write = (bytes: Uint8Array): undefined => writeBlocking(STDOUT, bytes) as undefined;
  write(Buffer.concat([bytesOf('Return-Path: <'), quoteAddress(sender), bytesOf('>\n')]));
  return { write, abort: () => Promise.resolve(), finish: () => Promise.resolve(undefined) };
}

function temporary(text: string): InjectFailure {
  return { exit: 111, text: bytesOf(`${text}\n`) };
}
