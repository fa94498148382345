// How each of the hub's listeners begins.

import type { ListenOptions, Server } from 'node:net';

/** Connections that wait to be taken, where many clients come at once. */
export const BACKLOG = 1024;

/**
 * Begins to accept.
 * @param onTrouble told of what goes wrong later
 * @returns the port in use; undefined for a socket file
 * @throws when the place cannot be had
 */
export function listenOn(
  server: Server,
  place: ListenOptions,
  onTrouble: (reason: string) => void,
): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(place, () => {
      server.off('error', reject);
      server.on('error', ({ message }) => onTrouble(message));
      const bound = server.address();
      resolve(typeof bound === 'object' && bound !== null ? bound.port : undefined);
    });
  });
}
