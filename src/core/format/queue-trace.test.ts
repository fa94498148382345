import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { formatQueueTrace, parseQueueTrace } from './queue-trace.ts';

test('formatQueueTrace() writes the field as qmail-queue does', () => {
  const field = formatQueueTrace({ pid: 4711, uid: 1000 }, '5 Jan 2026 03:04:05 -0000');
  assert.equal(textOf(field), 'Received: (qmail 4711 invoked by uid 1000); 5 Jan 2026 03:04:05 -0000\n');
  assert.deepEqual(parseQueueTrace(field), { pid: 4711, uid: 1000 });
});

test('parseQueueTrace() finds the largest numbers', () => {
  const trace = { pid: 4294967295, uid: 4294967294 };
  assert.deepEqual(parseQueueTrace(formatQueueTrace(trace, '31 Dec 2026 23:59:59 -0000')), trace);
});

test('parseQueueTrace() takes nothing else for one', () => {
  const others = [
    '',
    'Subject: x\n',
    ' Received: (qmail 1 invoked by uid 2); ',
    'Received: (qmail 1 invoked for bounce); 5 Jan 2026 03:04:05 -0000\n',
    'Received: (qmail 1 invoked by uid 2',
    'Received: (qmail 01 invoked by uid 2); ',
    'Received: (qmail -1 invoked by uid 2); ',
    'Received: (qmail 1 invoked by uid 4294967296); ',
    'Received: (qmail 1 invoked by uid 1e3); ',
    'Received: (qmail 1.5 invoked by uid 2); ',
    'Received: (qmail  invoked by uid 2); ',
    'Received: (qmail ); x invoked by uid 2',
  ];
  for (const text of others) assert.equal(parseQueueTrace(bytesOf(text)), undefined, text);
});
