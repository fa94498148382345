// Takes in no message when that would hurt those that are in the queue: when the disk has little room left, which verdicts and
// notices need, or when messages that are on their way in fill the memory that they may. What is refused is refused for now;
// its bytes are dropped as they come. Notices of the hub itself are not asked: they make room.
// Invariant: what an intake holds is given back exactly once, however it ends.
// Source: Postfix's smtpd asks for room before it accepts, see queue_minfree and message_size_limit in postconf(5).

import { statfs } from 'node:fs';
import { textOf } from '../core/bytes/bytes.ts';
import type { Clock } from '../host/clock.ts';
import { readControlLine, readControlNumber } from '../host/control.ts';
import type { Log } from '../host/log.ts';
import { SystemError } from '../host/system-error.ts';
import type { Accepted, Envelope, Fingerprint, Intake, MessageId, Queue } from '../queue/queue.ts';

/** Room on a file system, bytes. */
export interface DiskRoom {
  readonly total: number;
  /** For this process. */
  readonly free: number;
}

/** Bounds of a guard. */
export interface IntakeLimits {
  /** Bytes of messages on their way in that are held in memory, of all connections together. */
  readonly memoryBytesMax: number;
  /** Bytes of the file system to leave free; with 0 nobody asks, and a full disk shows when it is written to. */
  readonly diskKept: (total: number) => number;
}

/** What a guard works with. */
export interface IntakeGuardOptions {
  readonly queue: Pick<Queue, 'begin'>;
  readonly limits: IntakeLimits;
  readonly clock: Clock;
  readonly log: Log;
  readonly readRoom: () => Promise<DiskRoom>;
  /** Called for each message that is refused. */
  readonly onRefusal?: () => void;
}

/** What there is too little of. */
export type Shortage = 'disk' | 'memory';

/** A message was refused for want of something. */
export class ShortageError extends SystemError {
  readonly shortage: Shortage;

  constructor(shortage: Shortage) {
    super('take in', 'message', new Error(`too little ${shortage} is left`));
    this.shortage = shortage;
  }
}

const MEMORY_BYTES_MAX = 256 << 20;
const DISK_KEPT_MAX = 64 << 20;
const DISK_KEPT_PART = 20;
/** The queue has what is longer in a file. */
const HELD_BYTES_MAX = 32 << 10;
const LOOK_MS = 1000;

/** A guard of the queue of a home, which knows how much room there is. @throws SystemError for control files */
export async function openIntakeGuard(
  home: string,
  options: Omit<IntakeGuardOptions, 'limits' | 'readRoom'>,
): Promise<IntakeGuard> {
  const limits = readIntakeLimits(home);
  const guard = new IntakeGuard({ ...options, limits, readRoom: () => readQueueRoom(home) });
  await guard.open();
  return guard;
}

/** From `HOME/control/queueintakebytes` and `HOME/control/queuediskfree`, bytes or `N%`. @throws SystemError */
function readIntakeLimits(home: string): IntakeLimits {
  const word = textOf(readControlLine(home, 'queuediskfree') ?? new Uint8Array(0)).trim();
  const part = Number.parseFloat(word) / 100;
  const bytes = readControlNumber(home, 'queuediskfree', -1);
  return {
    memoryBytesMax: readControlNumber(home, 'queueintakebytes', MEMORY_BYTES_MAX),
    diskKept: (total) => {
      if (word.endsWith('%') && part >= 0) return total * part;
      return bytes < 0 ? Math.min(DISK_KEPT_MAX, total / DISK_KEPT_PART) : bytes;
    },
  };
}

/** Reads the room where the queue of a home is. @throws SystemError */
function readQueueRoom(home: string): Promise<DiskRoom> {
  const folder = `${home}/queue`;
  return new Promise((resolve, reject) => {
    statfs(folder, (error, found) => {
      if (error) reject(new SystemError('ask for room in', folder, error));
      else resolve({ total: found.blocks * found.bsize, free: found.bavail * found.bsize });
    });
  });
}

/** See the head of this file. */
export class IntakeGuard implements Pick<Queue, 'begin'> {
  readonly #options: IntakeGuardOptions;
  /** What may be written until room is asked for again; may be below 0. */
  #spare = Number.POSITIVE_INFINITY;
  #askedMs = Number.NEGATIVE_INFINITY;
  #isAsking = false;
  #held = 0;
  readonly #short: Record<Shortage, boolean> = { disk: false, memory: false };
  #callOff: (() => void) | undefined;
  #isClosed = false;

  constructor(options: IntakeGuardOptions) {
    this.#options = options;
  }

  /** Asks for room. Call once, before the first message. */
  open(): Promise<void> {
    return this.#ask();
  }

  close(): void {
    this.#isClosed = true;
    this.#callOff?.();
  }

  begin(): Intake {
    return new GuardedIntake(this.#options.queue.begin(), {
      take: (held, written) => this.#take(held, written),
      giveBack: (held) => this.#giveBack(held),
      onRefusal: this.#options.onRefusal,
    });
  }

  #take(held: number, written: number): Shortage | undefined {
    if (this.#options.clock.steadyMs() - this.#askedMs >= LOOK_MS) void this.#ask();
    if (this.#short.disk || this.#spare < written) {
      this.#note('disk', true);
      return 'disk';
    }
    if (this.#held + held > this.#options.limits.memoryBytesMax) {
      this.#note('memory', true);
      return 'memory';
    }
    this.#held += held;
    this.#spare -= written;
    return undefined;
  }

  #giveBack(held: number): void {
    this.#held -= held;
    if (this.#held <= this.#options.limits.memoryBytesMax / 2) this.#note('memory', false);
  }

  /** Logs when a shortage begins and ends; while there is one of the disk, asks for room until there is some. */
  #note(what: Shortage, isShort: boolean): void {
    if (this.#short[what] === isShort) return;
    this.#short[what] = isShort;
    const { log, clock } = this.#options;
    if (isShort) log.write('intake.stopped', { reason: what });
    else log.write('intake.resumed', { reason: what });
    if (what === 'disk' && isShort && !this.#isClosed) {
      const again = () => {
        void this.#ask();
        this.#callOff = this.#short.disk && !this.#isClosed ? clock.after(LOOK_MS, again) : undefined;
      };
      this.#callOff = clock.after(LOOK_MS, again);
    }
  }

  async #ask(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const { clock, limits, readRoom, log } = this.#options;
    try {
      const { total, free } = await readRoom();
      const kept = limits.diskKept(total);
      this.#spare = kept === 0 ? Number.POSITIVE_INFINITY : free - kept;
      // Not at the very edge, or it would come and go with each message.
      if (this.#spare >= (this.#short.disk ? kept / 8 : 0)) this.#note('disk', false);
      else this.#note('disk', true);
    } catch (error) {
      // Then a full disk shows when it is written to.
      this.#spare = Number.POSITIVE_INFINITY;
      this.#note('disk', false);
      log.write('queue.trouble', { reason: String(error) });
    }
    this.#askedMs = clock.steadyMs();
    this.#isAsking = false;
  }
}

/** An intake's side of its guard. */
interface IntakeGate {
  take(held: number, written: number): Shortage | undefined;
  giveBack(held: number): void;
  readonly onRefusal: (() => void) | undefined;
}

class GuardedIntake implements Intake {
  readonly #intake: Intake;
  readonly #gate: IntakeGate;
  #size = 0;
  #held = 0;
  #shortage: Shortage | undefined;

  constructor(intake: Intake, gate: IntakeGate) {
    this.#intake = intake;
    this.#gate = gate;
    this.#take(0, 0);
  }

  write(bytes: Uint8Array): Promise<void> | undefined {
    const held = Math.max(0, Math.min(bytes.length, HELD_BYTES_MAX - this.#size));
    this.#size += bytes.length;
    return this.#take(held, bytes.length) ? this.#intake.write(bytes) : undefined;
  }

  hold(bytes: number): boolean {
    return this.#take(bytes, bytes);
  }

  commit(envelope: Envelope): Promise<MessageId> {
    return this.#shortage === undefined ? this.#end(this.#intake.commit(envelope)) : this.#refuse();
  }

  commitOnce(envelope: Envelope, fingerprint: Fingerprint): Promise<Accepted> {
    return this.#shortage === undefined
      ? this.#end(this.#intake.commitOnce(envelope, fingerprint))
      : this.#refuse();
  }

  abort(): void {
    if (this.#shortage === undefined) this.#intake.abort();
    this.#giveBack();
  }

  #refuse(): Promise<never> {
    this.#gate.onRefusal?.();
    return Promise.reject(new ShortageError(this.#shortage!));
  }

  async #end<T>(committing: Promise<T>): Promise<T> {
    try {
      return await committing;
    } finally {
      this.#giveBack();
    }
  }

  /** @returns whether there is room; when there is none, nothing is kept any more */
  #take(held: number, written: number): boolean {
    if (this.#shortage !== undefined) return false;
    this.#shortage = this.#gate.take(held, written);
    if (this.#shortage === undefined) {
      this.#held += held;
      return true;
    }
    this.#intake.abort();
    this.#giveBack();
    return false;
  }

  #giveBack(): void {
    this.#gate.giveBack(this.#held);
    this.#held = 0;
  }
}
