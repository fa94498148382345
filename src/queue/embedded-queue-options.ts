// How an embedded queue is kept: where, how large its parts may grow, and for how long it recognises what it has accepted.

import type { Clock } from '../host/clock.ts';
import type { Files } from '../host/files.ts';
import type { Log } from '../host/log.ts';
import type { MessageIndex } from './message-index.ts';
import { type DestinationOf, destinationByDomain } from './queue.ts';
import { DEFAULT_RESUBMISSION_LIMITS, type ResubmissionLimits, Resubmissions } from './resubmissions.ts';

/** How an embedded queue is kept. */
export interface EmbeddedQueueOptions {
  /** The queue's folder; made if it does not exist. */
  readonly folder: string;
  readonly files: Files;
  readonly index: MessageIndex;
  readonly clock: Clock;
  readonly log: Log;
  /** Bytes of a journal segment. Default 16 MB. */
  readonly segmentSize?: number;
  /** Bytes of journal above which the oldest segment's survivors move to the index. Default 256 MB. */
  readonly journalSizeMax?: number;
  /** Messages above this many bytes get a file of their own. Default 32 KB. */
  readonly inlineSizeMax?: number;
  /** Default {@link destinationByDomain}. What has moved to the index keeps the destination that it had then. */
  readonly destinationOf?: DestinationOf;
  /** Default {@link DEFAULT_RESUBMISSION_LIMITS}; what is kept on disk never takes more than a quarter of the journal. */
  readonly resubmissions?: ResubmissionLimits;
}

/** What holds for options that are not given. */
export const DEFAULT_OPTIONS = {
  segmentSize: 16 << 20,
  journalSizeMax: 256 << 20,
  inlineSizeMax: 32 << 10,
  destinationOf: destinationByDomain,
  resubmissions: DEFAULT_RESUBMISSION_LIMITS,
};
/** Of a fingerprint on disk, with its part of the head of a record of few. */
const SEEN_BYTES = 40;

/** What recognises resubmissions, of so few messages that a journal that holds nothing else keeps within its limit. */
export function createResubmissions(options: Required<EmbeddedQueueOptions>): Resubmissions {
  const { windowMs, countMax } = options.resubmissions;
  const bytesMax = Math.max(options.journalSizeMax / 4, options.segmentSize / 2);
  const limits = { windowMs, countMax: Math.min(countMax, Math.floor(bytesMax / SEEN_BYTES)) };
  return new Resubmissions(limits, options.clock, options.log);
}
