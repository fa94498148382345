import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { parseControlLine, parseControlList, parseControlNumber } from './control-file.ts';

test('parseControlLine() takes the first line without blanks at its end', () => {
  const rows: [string, string][] = [
    ['me.example\n', 'me.example'],
    ['me.example', 'me.example'],
    ['one\ntwo\n', 'one'],
    ['a b \t \n', 'a b'],
    [' \ta\n', ' \ta'],
    ['# not a comment\n', '# not a comment'],
    ['dos\r\n', 'dos\r'],
    ['dos \r\n', 'dos \r'],
    ['\nsecond\n', ''],
    ['', ''],
    [' \t ', ''],
    ['a\0b\n', 'a\0b'],
  ];
  for (const [content, want] of rows)
    assert.equal(textOf(parseControlLine(bytesOf(content))), want, JSON.stringify(content));
});

test('parseControlNumber() takes the digits at the beginning of the first line', () => {
  const rows: [string, number | undefined][] = [
    ['0\n', 0],
    ['604800', 604800],
    ['007\n', 7],
    ['12x34\n', 12],
    ['12 34\n', 12],
    ['1\n2\n', 1],
    ['4294967295', 4294967295],
    ['4294967296', 0],
    ['42949672970', 10],
    ['', undefined],
    ['\n5\n', undefined],
    [' 5\n', undefined],
    ['-5\n', undefined],
    ['+5\n', undefined],
    ['x5\n', undefined],
  ];
  for (const [content, want] of rows)
    assert.equal(parseControlNumber(bytesOf(content)), want, JSON.stringify(content));
});

test('parseControlList() takes lines, without comments and empty ones', () => {
  const rows: [string, string[]][] = [
    ['', []],
    ['\n\n', []],
    ['a\nb\n', ['a', 'b']],
    ['a\nb', ['a', 'b']],
    ['a \t\n', ['a']],
    [' a\n', [' a']],
    ['#a\nb#c\n #d\n', ['b#c', ' #d']],
    [' \t\na\n', ['a']],
    ['a\r\n', ['a\r']],
    ['a\0b\n', ['a', 'b']],
    ['a\0\0b\0\n', ['a', 'b']],
    ['\0a\nb\n', ['b']],
    ['a\0#b\n', ['a', '#b']],
  ];
  for (const [content, want] of rows)
    assert.deepEqual(parseControlList(bytesOf(content)).map(textOf), want, JSON.stringify(content));
});
