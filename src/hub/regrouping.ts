// After a change of control/smtproutes: gives what is in the queue the destinations that the routes name now. Mail goes by the
// new routes at once, whatever this does, since delivery looks at the addresses; destinations decide only who takes turns with
// whom, and what waits for a destination that is suspended or full. So this goes a few hundred messages at a time, beside
// everything else, and begins anew at the next start if it has not come to its end.
// Invariant: HOME/queue/routes, if it is there, names the routes that everything in the queue is grouped by.

import { hash } from 'node:crypto';
import { promises as fs } from 'node:fs';
import { isChosenKey } from '../core/policy/route.ts';
import type { Clock } from '../host/clock.ts';
import type { Log } from '../host/log.ts';
import { reasonOf } from '../host/system-error.ts';
import type { DestinationOf, MessageId, Queue, QueuedMessage } from '../queue/queue.ts';

const AT_A_TIME = 200;
const BUSY_RETRY_MS = 1000;
/** Rest after each step, in times what the step took; and at most so long, ms. */
const REST = 3;
const REST_MAX_MS = 1000;

/** What a {@link Regrouping} works with. */
export interface RegroupingSettings {
  readonly queue: Pick<Queue, 'list' | 'handOut' | 'regroup' | 'settle'>;
  /** That of the queue: by the routes as they are now. */
  readonly destinationOf: DestinationOf;
  /** Where the routes are named. */
  readonly path: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** See the head of this file. */
export class Regrouping {
  readonly #settings: RegroupingSettings;
  #running: Promise<void> = Promise.resolve();
  /** The newest run; earlier ones give up. */
  #run = 0;
  #callOff: (() => void) | undefined;

  constructor(settings: RegroupingSettings) {
    this.#settings = settings;
  }

  /** Begins, if these are other routes than the queue is grouped by; a run before ends where it is. */
  start(routes: string): void {
    const run = this.#cancel();
    const name = hash('sha256', routes, 'hex');
    this.#running = this.#running
      .then(() => this.#regroup(name, run))
      .catch((error: unknown) => this.#settings.log.write('queue.trouble', { reason: reasonOf(error) }));
  }

  /** Resolves when nothing is done any more. */
  async stop(): Promise<void> {
    this.#cancel();
    await this.#running;
  }

  /** Resolves when the run under way has come to its end. */
  get done(): Promise<void> {
    return this.#running;
  }

  #cancel(): number {
    this.#callOff?.();
    return ++this.#run;
  }

  async #regroup(name: string, run: number): Promise<void> {
    const { queue, path, log, clock } = this.#settings;
    if ((await readIfThere(path)) === name || run !== this.#run) return;
    await fs.rm(path, { force: true });
    let count = 0;
    let busy: MessageId[] = [];
    let batch: MessageId[] = [];
    const runBatch = async () => {
      const results = await Promise.all(batch.map((id) => this.#one(id)));
      busy = [...busy, ...batch.filter((_, i) => results[i] === 'busy')];
      count += batch.length;
      batch = [];
      await new Promise<void>((resolve) => setImmediate(resolve));
    };
    let looked = 0;
    let sinceMs = clock.steadyMs();
    for await (const message of queue.list()) {
      if (run !== this.#run) return;
      if (this.#isStale(message)) batch.push(message.id);
      if (batch.length === AT_A_TIME) await runBatch();
      if (++looked % AT_A_TIME !== 0) continue;
      // Nobody waits for this, and a look at a million would take most of a processor from deliveries.
      await this.#pause(Math.min(REST * (clock.steadyMs() - sinceMs), REST_MAX_MS));
      sinceMs = clock.steadyMs();
    }
    await runBatch();
    while (busy.length > 0 && run === this.#run) {
      await this.#pause(BUSY_RETRY_MS);
      batch = busy.splice(0);
      await runBatch();
    }
    if (run !== this.#run) return;
    await fs.writeFile(path, name, { mode: 0o600 });
    if (count > 0) log.write('queue.regrouped', { messages: count });
  }

  async #one(id: MessageId): Promise<'done' | 'busy'> {
    const jobs = await this.#settings.queue.handOut(id);
    if (jobs === 'busy') return 'busy';
    // An operator may have chosen in the meantime.
    if (jobs?.some(({ destination }) => isChosenKey(destination)) === true)
      await Promise.all(jobs.map((job) => this.#settings.queue.settle(job, [], job.dueMs)));
    else await this.#settings.queue.regroup(jobs ?? []);
    return 'done';
  }

  /** What has several destinations may have the same ones for others of its recipients. */
  #isStale({ recipients, destinations }: QueuedMessage): boolean {
    if (destinations.some(isChosenKey)) return false;
    if (destinations.length > 1) return true;
    return recipients.some(
      (one) =>
        one.channel === 'remote' &&
        one.state === 'todo' &&
        this.#settings.destinationOf(one) !== destinations[0],
    );
  }

  async #pause(ms: number): Promise<void> {
    if (ms <= 0) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#settings.clock.after(ms, resolve);
      this.#callOff = () => {
        cancel();
        resolve();
      };
    });
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  return fs.readFile(path, 'latin1').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}
