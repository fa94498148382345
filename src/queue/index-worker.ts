// The thread that the index lives in: takes every call that waits, runs them as one group, answers.

import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { type IndexCall, IndexRunner } from './index-runner.ts';

const GROUP_MAX = 256;
const port = parentPort!;
const runner = new IndexRunner((workerData as { path: string }).path);

port.on('message', (first: IndexCall) => {
  const calls = [first];
  while (calls.length < GROUP_MAX) {
    const next = receiveMessageOnPort(port) as { message: IndexCall } | undefined;
    if (next === undefined) break;
    calls.push(next.message);
  }
  port.postMessage(runner.run(calls));
  if (calls.some(({ method }) => method === 'close')) port.close();
});
