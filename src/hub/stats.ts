// Numbers about a hub: what it counted since it started, and its state at the moment. One shape for the command line and for
// whatever watches the hub, and the same one from a program that looks at the queue while no hub runs.

import type { Clock } from '../host/clock.ts';
import type { Channel, Queue, QueueStats, Tally } from '../queue/queue.ts';
import type { BouncedFiles } from './bounced-files.ts';
import { type Counter, Counters } from './counters.ts';

/** All numbers. */
export interface HubStats extends QueueStats {
  /** Recipients since the queue was opened. */
  readonly recipients: Tally;
  /** Since the hub started. */
  readonly counters: Readonly<Record<Counter, number>>;
  readonly gauges: {
    /** Messages in the queue, and those of them that are held. */
    readonly queued: number;
    readonly held: number;
    /** Age of the oldest message in the queue, seconds; 0 without one. */
    readonly oldestSeconds: number;
    /** Deliveries under way. */
    readonly deliveringLocal: number;
    readonly deliveringRemote: number;
    /** Bounced messages that are kept, and their bytes. */
    readonly bounced: number;
    readonly bouncedBytes: number;
  };
}

/** What has the numbers. */
export interface StatsParts {
  readonly queue: Pick<Queue, 'stats' | 'tally' | 'overview'>;
  readonly bounced: Pick<BouncedFiles, 'stats'>;
  readonly clock: Clock;
  /** Without a hub there are none. */
  readonly counters?: Counters;
  readonly running?: () => Readonly<Record<Channel, number>>;
}

/** Reads all numbers. @throws SystemError when the queue or what is kept cannot be read */
export async function readStats({ queue, bounced, clock, counters, running }: StatsParts): Promise<HubStats> {
  const [{ held, oldestMs }, kept] = await Promise.all([queue.overview(), bounced.stats()]);
  const stats = queue.stats();
  const { local, remote } = running?.() ?? { local: 0, remote: 0 };
  const ageMs = oldestMs === undefined ? 0 : clock.nowMs() - oldestMs;
  return {
    ...stats,
    recipients: queue.tally(),
    counters: (counters ?? new Counters()).read(),
    gauges: {
      queued: stats.messages,
      held,
      oldestSeconds: Math.max(0, Math.floor(ageMs / 1000)),
      deliveringLocal: local,
      deliveringRemote: remote,
      bounced: kept.messages,
      bouncedBytes: kept.bytes,
    },
  };
}
