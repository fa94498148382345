// The index from the queue's side: calls become messages to the index thread, or, in tests, run at once in this one.

import { Worker } from 'node:worker_threads';
import { SystemError } from '../host/system-error.ts';
import { type IndexCall, type IndexReply, IndexRunner } from './index-runner.ts';
import type { MessageIndex } from './message-index.ts';

/** Sends calls somewhere and hears the replies. */
interface Carrier {
  send(call: IndexCall): void;
  onReplies(listener: (replies: readonly IndexReply[]) => void): void;
  /** The other side died. */
  onEnd(listener: (error: Error) => void): void;
}

/** An index in a worker thread. @param path database file */
export function openWorkerIndex(path: string): MessageIndex {
  // The bundle has the worker beside it under the same name with the bundle's ending.
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'mjs';
  const worker = new Worker(new URL(`./index-worker.${ending}`, import.meta.url), { workerData: { path } });
  return createRemoteIndex(path, {
    send: (call) => worker.postMessage(call),
    onReplies: (listener) => worker.on('message', listener),
    onEnd(listener) {
      worker.on('error', listener);
      worker.on('exit', (code) => listener(new Error(`index thread ended with ${code}`)));
    },
  });
}

/** An index in this thread; for tests and short-lived tools. @param path database file or `:memory:` */
export function openDirectIndex(path: string): MessageIndex {
  const runner = new IndexRunner(path);
  let reply: (replies: readonly IndexReply[]) => void = () => undefined;
  return createRemoteIndex(path, {
    send: (call) => queueMicrotask(() => reply(runner.run([call]))),
    onReplies: (listener) => {
      reply = listener;
    },
    onEnd: () => undefined,
  });
}

function createRemoteIndex(path: string, carrier: Carrier): MessageIndex {
  const waiting = new Map<
    number,
    { resolve: (value: never) => void; reject: (error: Error) => void; method: string }
  >();
  let calls = 0;
  carrier.onReplies((replies) => {
    for (const reply of replies) {
      const waiter = waiting.get(reply.call);
      waiting.delete(reply.call);
      if (waiter === undefined) continue;
      if ('error' in reply)
        waiter.reject(new SystemError(`${waiter.method} in index`, path, new Error(reply.error.message)));
      else waiter.resolve(reply.result as never);
    }
  });
  carrier.onEnd((error) => {
    for (const { reject, method } of waiting.values())
      reject(new SystemError(`${method} in index`, path, error));
    waiting.clear();
  });
  const call = <T>(method: IndexCall['method'], ...args: readonly unknown[]): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      const number = ++calls;
      waiting.set(number, { resolve, reject, method });
      carrier.send({ call: number, method, args });
    });
  return {
    open: () => call('open'),
    insert: (rows, through) => call('insert', rows, through),
    claim: (channel, wanted) => call('claim', channel, wanted),
    settle: (id, part, verdicts, nextDueMs) => call('settle', id, part, verdicts, nextDueMs),
    hasten: (nowMs, laterThanMs) => call('hasten', nowMs, laterThanMs),
    reschedule: (id, dueMs) => call('reschedule', id, dueMs),
    handOut: (id) => call('handOut', id),
    regroup: (id, parts) => call('regroup', id, parts),
    remove: (id) => call('remove', id),
    read: (id) => call('read', id),
    finished: () => call('finished'),
    overview: () => call('overview'),
    list: (after, limit) => call('list', after, limit),
    existing: (ids) => call('existing', ids),
    close: () => call('close'),
  };
}
