import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { formatDeliveredTo, formatReturnPath, HeaderLineFinder } from './delivery-lines.ts';

test('formatReturnPath() quotes the local part where it must, and keeps to one line', () => {
  const lines: [string, string][] = [
    ['send@er.example', '<send@er.example>'],
    ['', '<>'],
    ['#@[]', '<#@[]>'],
    ['a b\tc@d e.example', '<"a b\tc"@d e.example>'],
    ['S"x@y.z', '<"S\\"x"@y.z>'],
    ['a\nb@x\ny', '<"a\\_b"@x_y>'],
    ['j\xf6e@x', '<"j\xf6e"@x>'],
  ];
  for (const [sender, want] of lines) {
    assert.equal(textOf(formatReturnPath(bytesOf(sender))), `Return-Path: ${want}\n`);
  }
});

test('formatDeliveredTo() quotes nothing, and keeps to one line', () => {
  assert.equal(textOf(formatDeliveredTo(bytesOf('a "b\nc@x\n'))), 'Delivered-To: a "b_c@x_\n');
});

/** What the finder says of a message that comes whole, byte by byte, and in two pieces cut anywhere. */
function searchEveryWay(line: string, message: string): Set<string> {
  const bytes = bytesOf(message);
  const results = new Set<string>();
  const search = (cuts: readonly number[]) => {
    const finder = new HeaderLineFinder(bytesOf(line));
    let result = 'open';
    let from = 0;
    for (const cut of [...cuts, bytes.length]) {
      if (result === 'open') result = finder.receive(bytes.subarray(from, cut));
      from = cut;
    }
    results.add(result);
  };
  search([]);
  search([...bytes.keys()]);
  for (let cut = 0; cut < bytes.length; cut++) search([cut]);
  return results;
}

test('HeaderLineFinder finds the line in the header only, byte for byte', () => {
  const cases: [string, string][] = [
    ['L: x\n', 'found'],
    ['A: b\nL: x\n\nbody', 'found'],
    ['A: b\n\nL: x\n', 'absent'],
    ['\nL: x\n', 'absent'],
    ['L: x', 'open'],
    ['l: x\n', 'open'],
    ['L: x \n', 'open'],
    ['L: x\r\n', 'open'],
    [' L: x\n', 'open'],
    ['L: xL: x\n', 'open'],
    ['L: \nL: x\n', 'found'],
    ['', 'open'],
    [`${'y'.repeat(300)}\nL: x\n`, 'found'],
  ];
  for (const [message, want] of cases) {
    assert.deepEqual(searchEveryWay('L: x\n', message), new Set([want]), JSON.stringify(message));
  }
});
