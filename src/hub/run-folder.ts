// HOME/run: where programs of this host find the hub that runs. Everybody may look names up in it, since every user may
// queue mail; who may use a socket in it is said by the socket's own mode.

import { chmodSync, mkdirSync } from 'node:fs';

const FOLDER_MODE = 0o711;

/** The socket on which the hub takes messages from programs of this host. Longer paths than about 100 bytes cannot be bound. */
export function queueSocketPath(home: string): string {
  return `${home}/run/queue.sock`;
}

/** Makes the folder if it is missing, and lets everybody through. @throws when it cannot be had */
export function makeRunFolder(home: string): void {
  const path = `${home}/run`;
  mkdirSync(path, { recursive: true });
  chmodSync(path, FOLDER_MODE);
}
