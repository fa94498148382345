import assert from 'node:assert/strict';
import { test } from 'node:test';
import { feedEveryWay } from '../../../../test/support/feed-every-way.ts';
import { bytesOf, textOf } from '../../bytes/bytes.ts';
import { COMMAND_LENGTH_MAX, CommandReader } from './command-reader.ts';

function read(pieces: readonly Uint8Array[], reader = new CommandReader()): string[] {
  const commands: string[] = [];
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      at = reader.take(piece, at);
      const command = reader.takeCommand();
      if (command === undefined) continue;
      const marks = [
        command.isTruncated ? 'truncated' : '',
        command.hasBareLf ? 'bare' : '',
        command.hasNul ? 'nul' : '',
      ];
      commands.push(`${command.verb}|${textOf(command.argument)}|${marks.join('')}`);
    }
  }
  return commands;
}

const CASES: [string, string][] = [
  ['NOOP\r\n', 'noop||'],
  ['NoOp \r\n', 'noop||'],
  ['MAIL   FROM:<a b>  \r\n', 'mail|FROM:<a b>  |'],
  ['\r\n', '||'],
  ['\n', '||bare'],
  [' NOOP\r\n', '|NOOP|'],
  ['NOOP\t\r\n', 'noop\t||'],
  ['NOOP\r\r\n', 'noop\r||'],
  ['NOOP\n', 'noop||bare'],
  ['HELO a\0b\r\n', 'helo|a|nul'],
  ['NO\0OP x\r\n', 'no||nul'],
  ['NOOP\0\r\n', 'noop||nul'],
  ['a-verb-of-17-bytes x\r\n', '|x|'],
];

for (const [line, want] of CASES) {
  test(`CommandReader takes ${JSON.stringify(line)} apart`, () => {
    assert.deepEqual(feedEveryWay(bytesOf(line + line), read), [want, want]);
  });
}

test('CommandReader keeps a line of 65536 bytes, and cuts a longer one', () => {
  const line = 'NOOP '.padEnd(COMMAND_LENGTH_MAX, 'x');
  const [whole, cut, next] = read([bytesOf(`${line}\n${line}y\nQUIT\n`)]);
  assert.equal(whole, `noop|${line.slice(5)}|bare`);
  assert.equal(cut, `noop|${line.slice(5)}|truncated`);
  assert.equal(next, 'quit||bare');
});

test('CommandReader keeps no more of an endless line', () => {
  const reader = new CommandReader(100);
  const piece = new Uint8Array(65_536).fill(120);
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 1000; i++) assert.deepEqual(read([piece], reader), []);
  assert.ok(process.memoryUsage().arrayBuffers - before < 1_000_000);
  assert.deepEqual(read([bytesOf('\r\nQUIT\r\n')], reader), [`||truncated`, 'quit||']);
});
