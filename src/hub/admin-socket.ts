// How the hub's own command line talks to a running hub: HTTP on a socket file in the hub's home. Whoever may write to
// the file may ask; it is made readable for its owner alone.

import { chmodSync, rmSync } from 'node:fs';
import { createServer, request, type Server, type ServerResponse } from 'node:http';
import { SystemError } from '../host/system-error.ts';
import type { Queue } from '../queue/queue.ts';
import { toJsonLine } from './queued-message-json.ts';
import { makeRunFolder } from './run-folder.ts';

/** Where the socket of a home is. Longer paths than about 100 bytes cannot be bound. */
export function adminSocketPath(home: string): string {
  return `${home}/run/hub.sock`;
}

/**
 * Answers `GET /queue` with one JSON object per line and message, and `GET /stats` with one object with the number of `messages`.
 * @throws SystemError
 */
export function openAdminSocket(home: string, queue: Pick<Queue, 'list' | 'stats'>): Promise<Server> {
  const path = adminSocketPath(home);
  const server = createServer((incoming, response) => {
    const type = { 'content-type': 'application/x-ndjson' };
    const path = incoming.method === 'GET' ? incoming.url : undefined;
    if (path === '/queue') void sendQueue(queue, response.writeHead(200, type));
    else if (path === '/stats') response.writeHead(200, type).end(`${JSON.stringify(queue.stats())}\n`);
    else response.writeHead(404).end();
  });
  return new Promise((resolve, reject) => {
    try {
      makeRunFolder(home);
      // The queue's lock is held by now, so a socket that is still there belongs to a hub that is gone.
      rmSync(path, { force: true });
    } catch (error) {
      reject(new SystemError('make', path, error));
      return;
    }
    server.once('error', (error) => reject(new SystemError('listen on', path, error)));
    server.listen(path, () => {
      chmodSync(path, 0o600);
      resolve(server);
    });
  });
}

async function sendQueue(queue: Pick<Queue, 'list'>, response: ServerResponse): Promise<void> {
  try {
    for await (const message of queue.list()) {
      if (response.destroyed) return;
      if (!response.write(toJsonLine(message)))
        await new Promise<void>((resolve) => response.once('drain', resolve).once('close', resolve));
    }
    response.end();
  } catch {
    // A cut answer tells the other side that the list is not complete.
    response.destroy();
  }
}

/** {@link askHub} for `GET /queue`. */
export function askForQueue(home: string, onText: (text: string) => void): Promise<boolean> {
  return askHub(home, '/queue', onText);
}

/**
 * Asks the hub of that home, and passes the text of its answer on as it comes.
 * @returns whether a hub listens there
 * @throws SystemError if a hub is there and the answer fails
 */
export function askHub(
  home: string,
  question: '/queue' | '/stats',
  onText: (text: string) => void,
): Promise<boolean> {
  const path = adminSocketPath(home);
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: path, path: question }, (response) => {
      response.setEncoding('utf8');
      response.on('data', onText);
      response.on('end', () =>
        response.complete
          ? resolve(true)
          : reject(new SystemError('read', path, new Error('answer was cut'))),
      );
      response.on('error', (error) => reject(new SystemError('read', path, error)));
    });
    asked.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(false);
      else reject(new SystemError('ask', path, error));
    });
    asked.end();
  });
}
