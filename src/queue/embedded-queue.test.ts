import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NODE_FILES } from '../host/files.ts';
import { EmbeddedQueue } from './embedded-queue.ts';
import type { EmbeddedQueueOptions } from './embedded-queue-options.ts';
import { runQueueSuite } from './queue-suite.ts';
import { openDirectIndex, openWorkerIndex } from './worker-index.ts';

const SILENT = { write: () => undefined };

function suiteWith(
  name: string,
  options: Partial<EmbeddedQueueOptions>,
  openIndex: typeof openWorkerIndex,
): void {
  runQueueSuite(name, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mini-qmail-queue-'));
    return {
      open: (clock) =>
        EmbeddedQueue.open({
          folder,
          files: NODE_FILES,
          index: openIndex(`${folder}/index.sqlite`),
          clock,
          log: SILENT,
          ...options,
        }),
      cleanUp: () => rm(folder, { recursive: true }),
    };
  });
}

suiteWith('EmbeddedQueue, index in a worker thread', { segmentSize: 1 << 20 }, openWorkerIndex);
// Every message lives a full life here: journal, spill, index.
suiteWith(
  'EmbeddedQueue that spills at once',
  { segmentSize: 512, journalSizeMax: 0, inlineSizeMax: 64 },
  openDirectIndex,
);
