// The queue in memory against the suite that every store passes.

import { MemoryQueue, MemoryQueueStorage } from './memory-queue.ts';
import { runQueueSuite } from './queue-suite.ts';

runQueueSuite('MemoryQueue', async () => {
  const storage = new MemoryQueueStorage();
  return {
    open: async (clock) => new MemoryQueue(storage, clock),
    cleanUp: async () => undefined,
  };
});
