// How the hub's own command line talks to a running hub: HTTP on a socket file in the hub's home. Whoever may write to
// the file may ask; it is made readable for its owner alone.

import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, request, type Server, type ServerResponse } from 'node:http';
import { SystemError } from '../host/system-error.ts';
import type { Queue } from '../queue/queue.ts';
import { toJsonLine } from './queued-message-json.ts';

/** Where the socket of a home is. Longer paths than about 100 bytes cannot be bound. */
export function adminSocketPath(home: string): string {
  return `${home}/run/hub.sock`;
}

/** Answers `GET /queue` with one JSON object per line and message. @throws SystemError */
export function openAdminSocket(home: string, queue: Pick<Queue, 'list'>): Promise<Server> {
  const path = adminSocketPath(home);
  const server = createServer((incoming, response) => {
    if (incoming.method !== 'GET' || incoming.url !== '/queue') {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    void sendQueue(queue, response);
  });
  return new Promise((resolve, reject) => {
    try {
      mkdirSync(`${home}/run`, { recursive: true, mode: 0o700 });
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

/**
 * Asks the hub of that home for `GET /queue` and passes its text on as it comes.
 * @returns whether a hub listens there
 * @throws SystemError if a hub is there and the answer fails
 */
export function askForQueue(home: string, onText: (text: string) => void): Promise<boolean> {
  const path = adminSocketPath(home);
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: path, path: '/queue' }, (response) => {
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
