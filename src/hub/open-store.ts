// The queue in the hands of a program, while no hub has it. Whoever has it keeps a hub from starting, so it is held for
// moments only. Invariant: whatever is written belongs to the owner of the queue, so that the hub can go on with it: root
// becomes that owner first, for good.

import { statSync } from 'node:fs';
import type { Clock } from '../host/clock.ts';
import { NODE_FILES } from '../host/files.ts';
import { reasonOf, SystemError } from '../host/system-error.ts';
import { EmbeddedQueue } from '../queue/embedded-queue.ts';
import { openDirectIndex } from '../queue/worker-index.ts';
import { readResubmissionLimits } from './resubmission-limits.ts';

const SILENT = { write: () => undefined };
// A few messages come and go; each opening begins a segment.
const SEGMENT_SIZE = 1 << 20;

/** Opens the queue of a home that has one. @throws SystemError; see {@link isLocked} */
export function openStore(home: string, clock: Clock): Promise<EmbeddedQueue> {
  const folder = `${home}/queue`;
  becomeOwner(folder);
  return EmbeddedQueue.open({
    folder,
    files: NODE_FILES,
    index: openDirectIndex(`${folder}/index.sqlite`),
    clock,
    log: SILENT,
    segmentSize: SEGMENT_SIZE,
    resubmissions: readResubmissionLimits(home),
  });
}

/** Whether opening failed because another process has the queue. */
export function isLocked(error: unknown): boolean {
  return reasonOf(error).includes('database is locked');
}

function becomeOwner(folder: string): void {
  try {
    const { uid, gid } = statSync(folder);
    if (process.geteuid?.() !== 0 || uid === 0) return;
    process.setgroups?.([gid]);
    process.setgid?.(gid);
    process.setuid?.(uid);
  } catch (error) {
    throw new SystemError('use', folder, error);
  }
}
