import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLineLog, type Log } from './log.ts';

function logged(event: string, facts: Parameters<Log['write']>[1]): string {
  let text = '';
  createLineLog((line) => {
    text += line;
  }).write(event, facts);
  return text;
}

test('a log line has the event and its facts in order; facts without a value are left out', () => {
  assert.equal(logged('hub.started', {}), 'hub.started\n');
  assert.equal(logged('a', { z: 1, y: undefined, x: 'two', w: -0.5 }), 'a z=1 x=two w=-0.5\n');
});

test('a value that could be taken for something else is quoted, and nothing can leave its line', () => {
  const rows: [string | Uint8Array, string][] = [
    ['bob@example.net', 'bob@example.net'],
    ['', '""'],
    ['a b', '"a b"'],
    ['a=b', '"a=b"'],
    ['say "x"', '"say \\"x\\""'],
    ['a\\b', '"a\\\\b"'],
    ['two\nlines\r\n', '"two\\nlines\\x0d\\n"'],
    ['\x1b[31m\0\x7f', '"\\x1b[31m\\x00\\x7f"'],
    ['\u00e9', '"\\xc3\\xa9"'],
    [Uint8Array.of(0x61, 0xff, 0x0a), '"a\\xff\\n"'],
    [Uint8Array.of(0x61, 0x62), 'ab'],
  ];
  for (const [value, want] of rows) assert.equal(logged('e', { v: value }), `e v=${want}\n`);
});

test('every byte in a value leaves one printable line', () => {
  const line = logged('e', { v: Uint8Array.from({ length: 256 }, (_, i) => i) });
  assert.match(line, /^[ -~]+\n$/);
});
