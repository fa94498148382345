import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../bytes/bytes.ts';
import { outcomeOfRemote, type RemoteEnd } from './rspawn-report.ts';

test('a program that does not end well has an outcome of its own', () => {
  const rows: [RemoteEnd, string, string][] = [
    ['crashed', 'r\0Kx\0', 'Zqmail-remote crashed.\n'],
    ['not-started', '', 'ZUnable to run qmail-remote.\n'],
    [111, 'r\0Kx\0', 'ZUnable to run qmail-remote.\n'],
    [100, '', 'DUnable to run qmail-remote.\n'],
    [1, 'r\0Kx\0', 'DUnable to run qmail-remote.\n'],
    [0, '', 'Zqmail-remote produced no output.\n'],
  ];
  for (const [end, output, wanted] of rows) {
    const { letter, text } = outcomeOfRemote(end, bytesOf(output));
    assert.equal(letter + text, wanted, String(end));
  }
});

test('reports of recipient and message become one', () => {
  const rows: [string, string][] = [
    [
      'r\0K1.2.3.4 accepted message.\nRemote host said: 250 x\n\0',
      'K1.2.3.4 accepted message.\nRemote host said: 250 x\n',
    ],
    [
      'h1 does not like recipient.\nRemote host said: 550 x\n\0DGiving up on 1.\n\0',
      'D1 does not like recipient.\nRemote host said: 550 x\nGiving up on 1.\n',
    ],
    ['s1 later\n\0DGiving up on 1.\n\0', 'Z1 later\nGiving up on 1.\n'],
    ['r\0Z1 failed on DATA command.\n\0', 'Z1 failed on DATA command.\n'],
    ['ZUnable to read control files. (#4.3.0)\n\0', 'ZUnable to read control files. (#4.3.0)\n'],
    ['h5xx\0KKept\0', 'D5xx'],
    ['s4xx\0KKept\0', 'Z4xx'],
    ['garbage', 'D'],
    ['sgarbage', 'Z'],
    ['garbage\0', 'Darbage'],
    ['r\0x\0Kyes\0', 'K'],
    ['\0', 'D'],
  ];
  for (const [output, wanted] of rows) {
    const { letter, text } = outcomeOfRemote(0, bytesOf(output));
    assert.equal(letter + text, wanted, JSON.stringify(output));
  }
});
