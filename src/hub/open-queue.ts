// The queue in the hands of the hub, for as long as it runs. A program that queues or lists while no hub runs has it for a
// moment (see open-store.ts); that must not keep a hub from starting.

import { connect } from 'node:net';
import { NODE_FILES } from '../host/files.ts';
import { EmbeddedQueue } from '../queue/embedded-queue.ts';
import type { EmbeddedQueueOptions } from '../queue/embedded-queue-options.ts';
import { openWorkerIndex } from '../queue/worker-index.ts';
import { isLocked } from './open-store.ts';
import { queueSocketPath } from './run-folder.ts';

const TRIES = 50;
const PAUSE_MS = 100;

/**
 * Opens the queue of a home; if a program has it, waits for five seconds at most.
 * @throws SystemError, at once if another hub has it
 */
export async function openQueue(
  home: string,
  options: Omit<EmbeddedQueueOptions, 'folder' | 'files' | 'index'>,
): Promise<EmbeddedQueue> {
  const folder = `${home}/queue`;
  for (let tries = 1; ; tries++) {
    const index = openWorkerIndex(`${folder}/index.sqlite`);
    try {
      return await EmbeddedQueue.open({ ...options, folder, files: NODE_FILES, index });
    } catch (error) {
      await index.close().catch(() => undefined);
      if (!isLocked(error) || tries === TRIES || (await isHubThere(home))) throw error;
      await new Promise<void>((resolve) => void options.clock.after(PAUSE_MS, resolve));
    }
  }
}

function isHubThere(home: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path: queueSocketPath(home) });
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
