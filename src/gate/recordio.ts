// recordio: runs a program and logs what goes between it and the network. Source: the recordio page of cr.yp.to/ucspi-tcp.
// Differs: the program is a child of this process instead of the other way round, since Node cannot fork; in the log stands
// this process's id, which is the one that tcpserver shows.

import type { ChildProcess } from 'node:child_process';
import { failOnSystem } from '../client/fatal.ts';
import { refuseUsage } from '../client/refuse.ts';
import { formatRecord, formatRecordEnd, type RecordDirection } from '../core/format/recordio-log.ts';
import { complain } from '../host/blocking-io.ts';
import { commandOf } from '../host/child.ts';
import {
  type ByteInput,
  type ByteOutput,
  openStandardInputOutput,
  streamInput,
  streamOutput,
} from '../host/descriptor-io.ts';
import type { ProgramWords } from '../host/program-words.ts';
import { findProgram } from './find-program.ts';

const PROGRAM = 'recordio';
const FORWARDED = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGALRM'] as const;

/** Runs recordio to its end; resolves with the program's exit code. A signal that ended the program ends us too. */
export async function runRecordio({ args, env }: ProgramWords): Promise<number> {
  if (args.length === 0) return refuseUsage(PROGRAM, 'recordio program [ arg ... ]');
  const program = args[0]!;
  const cannotRun = (error: unknown) => failOnSystem(PROGRAM, ['run ', program], error);
  let child: ChildProcess;
  let ended: Promise<number | NodeJS.Signals | Error>;
  try {
    const { name, args: words } = commandOf(args);
    const found = findProgram(name, env.strings['PATH']);
    if ('error' in found) return cannotRun(found.error);
    const { spawn } = process.getBuiltinModule('node:child_process');
    const stdio: ['pipe', 'pipe', 'inherit'] = ['pipe', 'pipe', 'inherit'];
    child = spawn(found.path, words, { argv0: name, env: env.strings, stdio });
    ended = new Promise((resolve) => {
      child.on('error', resolve);
      child.on('exit', (exit, signal) => resolve(signal ?? exit ?? 0));
    });
  } catch (error) {
    return cannotRun(error);
  }
  if (child.pid === undefined) return cannotRun(await ended);
  for (const signal of FORWARDED) process.on(signal, () => child.kill(signal));
  const { input, output } = openStandardInputOutput();
  void copy(input, streamOutput(child.stdin!), '<').then(() => child.stdin?.end());
  await copy(streamInput(child.stdout!), output, '>');
  return endLike(await ended);
}

/** Copies until the end, or until nobody takes the bytes; each line is logged before its bytes go on. */
async function copy(from: ByteInput, to: ByteOutput, direction: RecordDirection): Promise<void> {
  for (let bytes = await from.read(); bytes !== undefined; bytes = await from.read()) {
    for (const line of formatRecord(process.pid, direction, bytes)) complain(line);
    if (!(await to.write([bytes]))) return;
  }
  complain(formatRecordEnd(process.pid, direction));
}

function endLike(end: number | NodeJS.Signals | Error): number {
  if (typeof end === 'number') return end;
  if (end instanceof Error) return 111;
  process.removeAllListeners(end);
  process.kill(process.pid, end);
  // Signals that a process cannot send itself to death by are ignored by it.
  return 111;
}
