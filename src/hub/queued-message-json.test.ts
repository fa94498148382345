import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../core/bytes/bytes.ts';
import type { QueuedMessage } from '../queue/queue.ts';
import { toJsonLine } from './queued-message-json.ts';

const MESSAGE: QueuedMessage = {
  id: 7,
  birthMs: Date.UTC(2026, 10, 22, 20, 1, 2, 3),
  size: 1234,
  sender: bytesOf('ann@b.example'),
  recipients: [
    { channel: 'local', address: bytesOf('one@c.example'), state: 'done' },
    { channel: 'remote', address: bytesOf('two@d.example'), state: 'todo' },
  ],
  due: { remote: Date.UTC(2026, 10, 22, 20, 8) },
  destinations: ['d.example'],
};

test('toJsonLine() has everything about a message in one line', () => {
  const line = toJsonLine(MESSAGE);
  assert.equal(line.indexOf('\n'), line.length - 1);
  assert.deepEqual(JSON.parse(line), {
    id: 7,
    accepted: '2026-11-22T20:01:02.003Z',
    bytes: 1234,
    sender: 'ann@b.example',
    nextAttempt: { remote: '2026-11-22T20:08:00.000Z' },
    recipients: [
      { address: 'one@c.example', channel: 'local', state: 'done' },
      { address: 'two@d.example', channel: 'remote', state: 'todo' },
    ],
  });
});

test('toJsonLine() leaves out a channel that waits for nothing, and takes an empty sender', () => {
  const { nextAttempt, sender } = JSON.parse(toJsonLine({ ...MESSAGE, due: {}, sender: bytesOf('') }));
  assert.deepEqual([nextAttempt, sender], [{}, '']);
});

test('toJsonLine() stays one line of valid JSON with any bytes in an address', () => {
  const rows: [Uint8Array, string][] = [
    [Buffer.from('\u00fc@d.example'), '\u00fc@d.example'],
    [bytesOf('a\xffb'), 'a\ufffdb'],
    [bytesOf('"a\\\n\r"@b\u007f'), '"a\\\n\r"@b\u007f'],
  ];
  for (const [sender, want] of rows) {
    const line = toJsonLine({ ...MESSAGE, sender });
    assert.equal(line.split('\n').length, 2);
    assert.equal(JSON.parse(line).sender, want);
  }
});

test('toJsonLine() names the way that an operator chose', () => {
  const routeOf = (...destinations: string[]) => JSON.parse(toJsonLine({ ...MESSAGE, destinations })).route;
  assert.equal(routeOf('d.example'), undefined);
  assert.equal(routeOf('>relay.example:25'), 'relay.example:25');
  assert.equal(routeOf('>@d.example', '>@e.example'), 'mx');
});
