// How the hub's own command line talks to a running hub: HTTP on a socket file in the hub's home. Whoever may write to
// the file may ask, and give orders; it is made readable for its owner alone.

import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { SystemError } from '../host/system-error.ts';
import type { Queue } from '../queue/queue.ts';
import type { BouncedFiles } from './bounced-files.ts';
import { toBouncedLine } from './bounced-json.ts';
import type { Operator } from './operator.ts';
import { formatOrderResult, formatOrderSummary, parseOrder } from './order-json.ts';
import { toJsonLine } from './queued-message-json.ts';
import { makeRunFolder } from './run-folder.ts';
import { readStats, type StatsParts } from './stats.ts';

/** Where the socket of a home is. Longer paths than about 100 bytes cannot be bound. */
export function adminSocketPath(home: string): string {
  return `${home}/run/hub.sock`;
}

/** What the socket gives access to. */
export interface AdminParts extends StatsParts {
  readonly queue: Queue;
  readonly operator: Operator;
  readonly bounced: BouncedFiles;
}

const ORDER_SIZE_MAX = 16 << 20;
const JSON_LINES = { 'content-type': 'application/x-ndjson' };

/**
 * Answers `GET /queue` with one JSON object per line and message, `GET /queue/ID` with that of one message, `GET /queue/ID/message` with its
 * bytes, the same under `/bounced` for what has bounced and is kept, and `GET /stats` with one object, see stats.ts. `POST /orders` carries out an order, see order-json.ts.
 * @throws SystemError
 */
export function openAdminSocket(home: string, parts: AdminParts): Promise<Server> {
  const path = adminSocketPath(home);
  const server = createServer((incoming, response) => {
    // A cut answer tells the other side that it is not complete.
    answer(parts, incoming, response).catch(() => response.destroy());
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

async function answer(parts: AdminParts, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const { queue, operator, bounced } = parts;
  const { method, url = '' } = incoming;
  if (method === 'POST' && url === '/orders') return carryOut(operator, incoming, response);
  const [, resource, id, part] = url.split('/');
  if (method !== 'GET' || (part ?? 'message') !== 'message') return void response.writeHead(404).end();
  if (url === '/queue') return sendLines(queue.list(), toJsonLine, response);
  if (url === '/bounced') return sendLines(bounced.list(), toBouncedLine, response);
  if (url === '/stats') {
    const stats = await readStats(parts);
    return void response.writeHead(200, JSON_LINES).end(`${JSON.stringify(stats)}\n`);
  }
  if (resource === 'bounced') return sendOne(bounced, toBouncedLine, { id, part }, response);
  if (resource === 'queue') return sendOne(queue, toJsonLine, { id, part }, response);
  response.writeHead(404).end();
}

async function sendOne<Message extends { readonly id: number }>(
  store: { find(id: number): Promise<Message | undefined>; read(id: number): Promise<Uint8Array> },
  toLine: (message: Message) => string,
  { id, part }: { readonly id: string | undefined; readonly part: string | undefined },
  response: ServerResponse,
): Promise<void> {
  const message = id === undefined ? undefined : await store.find(Number(id));
  if (message === undefined) response.writeHead(404).end();
  else if (part === undefined) response.writeHead(200, JSON_LINES).end(toLine(message));
  else response.writeHead(200).end(await store.read(message.id));
}

async function sendLines<Message>(
  messages: AsyncIterable<Message>,
  toLine: (message: Message) => string,
  response: ServerResponse,
): Promise<void> {
  response.writeHead(200, JSON_LINES);
  for await (const message of messages) {
    if (response.destroyed) return;
    if (!response.write(toLine(message)))
      await new Promise<void>((resolve) => response.once('drain', resolve).once('close', resolve));
  }
  response.end();
}

async function carryOut(
  operator: Operator,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const order = parseOrder(await readText(incoming));
  if (order === undefined) return void response.writeHead(400).end();
  response.writeHead(200, JSON_LINES);
  const summary = await operator.carryOut(
    order,
    (...result) => void response.write(formatOrderResult(...result)),
    () => untilTaken(response),
  );
  response.end(formatOrderSummary(summary));
}

/** Gives way to others, and waits for a slow reader. @throws when the reader is gone */
async function untilTaken(response: ServerResponse): Promise<void> {
  await new Promise<void>((resolve) => {
    if (response.writableNeedDrain && !response.destroyed)
      response.once('drain', resolve).once('close', resolve);
    else setImmediate(resolve);
  });
  if (response.destroyed) throw new Error('Cannot go on with the order: the command was ended');
}

async function readText(incoming: IncomingMessage): Promise<string> {
  let text = '';
  for await (const piece of incoming.setEncoding('utf8')) {
    text += piece;
    if (text.length > ORDER_SIZE_MAX) throw new Error('order is too long');
  }
  return text;
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
export async function askHub(
  home: string,
  question: '/queue' | '/bounced' | '/stats',
  onText: (text: string) => void,
): Promise<boolean> {
  const decoder = new TextDecoder();
  const onBytes = (bytes: Uint8Array) => onText(decoder.decode(bytes, { stream: true }));
  return (await callHub(home, { path: question, onBytes })) !== undefined;
}

/** What to ask a hub, and who takes the answer piece by piece. */
export interface HubCall {
  readonly path: string;
  /** The order, if it is one. */
  readonly body?: string;
  readonly onBytes: (bytes: Uint8Array) => void;
}

/**
 * Asks the hub of that home.
 * @returns the status of its answer: 200, 404 for what it does not have, 400 for an order that it does not understand; undefined if no hub is there
 * @throws SystemError if a hub is there and the answer fails
 */
export function callHub(home: string, { path, body, onBytes }: HubCall): Promise<number | undefined> {
  const socketPath = adminSocketPath(home);
  return new Promise((resolve, reject) => {
    const method = body === undefined ? 'GET' : 'POST';
    const asked = request({ socketPath, path, method }, (response) => {
      response.on('data', onBytes);
      response.on('end', () =>
        response.complete
          ? resolve(response.statusCode)
          : reject(new SystemError('read', socketPath, new Error('answer was cut'))),
      );
      response.on('error', (error) => reject(new SystemError('read', socketPath, error)));
    });
    asked.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined);
      else reject(new SystemError('ask', socketPath, error));
    });
    asked.end(body);
  });
}
