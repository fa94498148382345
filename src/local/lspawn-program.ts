// Runs qmail-local for one message as the user who gets it: message on descriptor 0, one connection for both outputs, a process
// group of its own, which is ended when it takes too long. Invariant: nothing is ever run with user id 0.

import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Assignment } from '../core/format/users-assign.ts';
import { cutReport, LSPAWN_EXIT, outcomeOfLocal, REPORT_MAX } from '../core/policy/local-report.ts';
import type { Outcome } from '../core/policy/outcome.ts';
import { SYSTEM_CLOCK } from '../host/clock.ts';
import type { ReportPipes } from './lspawn-report-pipe.ts';

/** One run. */
export interface LocalRun {
  /** Path of qmail-local. */
  readonly program: string;
  /** The installation, which is also the working directory. */
  readonly home: string;
  readonly user: Assignment;
  /** Words after `--`. */
  readonly words: readonly string[];
  /** A file open for reading, at its beginning. */
  readonly message: number;
  readonly env: NodeJS.ProcessEnv;
  readonly timeoutMs: number;
  readonly pipes: ReportPipes;
}

/** After the first signal, and for output of programs that outlive the delivery. */
const GRACE_MS = 5_000;

/** Runs it to its end. @throws Error of the system if there is no connection for its output */
export async function runLocalProgram(run: LocalRun): Promise<Outcome> {
  const { user } = run;
  const uid = process.geteuid?.() ?? 0;
  if (user.uid === 0) return outcomeOfLocal(LSPAWN_EXIT.root, '');
  if (uid !== 0 && user.uid !== uid) return { letter: 'Z', text: refusal(user, uid) };
  const { ours, theirs } = await run.pipes.pair();
  const report = collect(ours);
  let end: LocalEnd;
  try {
    end = await untilEnd(start(run, uid, theirs), run.timeoutMs);
  } finally {
    theirs.destroy();
  }
  const output = await report.finish();
  if (end !== 'overdue') return outcomeOfLocal(end, output);
  const text = `Delivery took longer than ${run.timeoutMs / 1000} seconds and was ended. (#4.3.0)\n`;
  return { letter: 'Z', text: cutReport(text + output) };
}

/** Exit code, or what happened to it. */
type LocalEnd = number | 'crashed' | 'overdue';

function start(
  { program, words, home, env, message, user }: LocalRun,
  uid: number,
  output: Socket,
): ChildProcess {
  const child = spawn(program, ['--', ...words], {
    cwd: home,
    env,
    stdio: [message, output, output],
    // A session of its own: a signal for its group reaches what it has started, and nothing else.
    detached: true,
    // Node leaves no other group than this one.
    ...(uid === 0 ? { uid: user.uid, gid: user.gid } : {}),
  });
  // The child has its own by now: without ours, its end is the end of what it prints.
  output.destroy();
  return child;
}

function untilEnd(child: ChildProcess, timeoutMs: number): Promise<LocalEnd> {
  const group = child.pid;
  return new Promise((resolve) => {
    let isOverdue = false;
    let callOff = SYSTEM_CLOCK.after(timeoutMs, () => {
      isOverdue = true;
      signal(group, 'SIGTERM');
      callOff = SYSTEM_CLOCK.after(GRACE_MS, () => signal(group, 'SIGKILL'));
    });
    child.on('error', () => {
      callOff();
      resolve(LSPAWN_EXIT.notRun);
    });
    child.on('exit', (code) => {
      callOff();
      // Some of its group may not have heard the first one.
      if (isOverdue) signal(group, 'SIGKILL');
      resolve(isOverdue ? 'overdue' : (code ?? 'crashed'));
    });
  });
}

function refusal({ user, uid }: Assignment, own: number): string {
  const name = Buffer.from(user).toString('latin1');
  return `Unable to deliver as ${name} (uid ${uid}) while running as uid ${own}; run hub-lspawn as root. (#4.3.0)\n`;
}

/** Sends a signal to a process group. */
function signal(group: number | undefined, name: NodeJS.Signals): void {
  if (group === undefined) return;
  try {
    process.kill(-group, name);
  } catch {
    // It has just ended.
  }
}

/** Reads to the end, and keeps what a report may have. */
function collect(socket: Socket): { finish: () => Promise<string> } {
  let text = '';
  socket.setEncoding('latin1').on('data', (piece: string) => {
    // One byte more than the limit shows that it is exceeded.
    if (text.length <= REPORT_MAX) text += piece.slice(0, REPORT_MAX + 1 - text.length);
  });
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  return {
    /** The text; waits for the end, or a while if somebody keeps the other end open. */
    async finish() {
      const timer = setTimeout(() => socket.destroy(), GRACE_MS);
      await closed;
      clearTimeout(timer);
      return text;
    },
  };
}
