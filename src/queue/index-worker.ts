// The thread that the index lives in: takes every call that waits, runs them in groups, answers.

import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { type IndexCall, IndexRunner, inGroups } from './index-runner.ts';

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
  for (const group of inGroups(calls)) port.postMessage(runner.run(group));
  if (calls.some(({ method }) => method === 'close')) port.close();
});
