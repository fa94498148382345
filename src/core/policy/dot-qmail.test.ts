import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { DotQmailReader, verdictOfProgram } from './dot-qmail.ts';
import { formatDeliveryLines, listVariables, ownerAddress } from './dot-qmail-environment.ts';
import { DotQmailNames, safeExtension } from './dot-qmail-name.ts';

function namesOf(dash: string, ext: string): [string, number | undefined][] {
  const names = new DotQmailNames(bytesOf(dash), bytesOf(ext));
  const found: [string, number | undefined][] = [];
  for (let one = names.next(); one !== undefined; one = names.next()) {
    found.push([textOf(one.name), one.defaultFrom]);
  }
  return found;
}

describe('DotQmailNames', () => {
  const cases: [string, string, [string, number | undefined][]][] = [
    [
      '',
      '',
      [
        ['.qmail', undefined],
        ['.qmaildefault', 0],
      ],
    ],
    [
      '-',
      'a-b-c',
      [
        ['.qmail-a-b-c', undefined],
        ['.qmail-a-b-default', 4],
        ['.qmail-a-default', 2],
        ['.qmail-default', 0],
      ],
    ],
    [
      '-',
      'a-',
      [
        ['.qmail-a-', undefined],
        ['.qmail-a-default', 2],
        ['.qmail-default', 0],
      ],
    ],
    [
      '-',
      '',
      [
        ['.qmail-', undefined],
        ['.qmail-default', 0],
      ],
    ],
    [
      '-',
      'Foo.Bar',
      [
        ['.qmail-foo:bar', undefined],
        ['.qmail-default', 0],
      ],
    ],
    [
      '-/',
      'foo-bar',
      [
        ['.qmail-/foo-bar', undefined],
        ['.qmail-/foo-default', 4],
        ['.qmail-/default', 0],
      ],
    ],
    [
      '-',
      'foo-Default',
      [
        ['.qmail-foo-default', 4],
        ['.qmail-foo-default', 4],
        ['.qmail-default', 0],
      ],
    ],
  ];
  for (const [dash, ext, want] of cases) {
    it(`gives those of "${dash}" and "${ext}", and what "default" stands for`, () => {
      assert.deepEqual(namesOf(dash, ext), want);
    });
  }

  it('never leads upwards', () => {
    assert.equal(textOf(safeExtension(bytesOf('../../Etc/passwd'))), '::/::/etc/passwd');
  });

  it('makes names no longer than any file system has, of an extension of many dashes', () => {
    const names = namesOf('-', '-'.repeat(100_000));
    assert.equal(names.length, 4098);
    assert.equal(names.at(-1)?.[0], '.qmail-default');
  });
});

function linesOf(content: string): string[] {
  const reader = new DotQmailReader(bytesOf(content));
  const lines: string[] = [];
  for (let line = reader.next(); line !== undefined; line = reader.next()) {
    lines.push('text' in line ? `${line.type} ${textOf(line.text)}` : line.type);
  }
  return lines;
}

describe('DotQmailReader', () => {
  const cases: [string, string[]][] = [
    ['', ['blank']],
    ['\n&a@b\n', ['blank', 'forward a@b']],
    [' \t \n', ['blank']],
    ['\0x\n', ['blank']],
    ['# c\n\n  \n\0x\n&a@b\n\n', ['forward a@b']],
    ['./m\n/m/\n.\n/\n./x/ \t\n', ['mbox ./m', 'maildir /m/', 'mbox .', 'maildir /', 'maildir ./x/']],
    ['|prog  arg  \n| b\n|', ['program prog  arg', 'program  b', 'program ']],
    ['&\n&&x\n<a@x>\n a@x\na@x,b@x\n&a@x\r\n', ['forward ', '&x', '<a@x>', ' a@x', 'a@x,b@x', 'a@x\r']],
    ['+lists\n+\n+list x\n+list \t\n&a', ['forward-only', 'forward a']],
    ['./a\0b/\n', ['maildir ./a\0b/']],
    ['./Maildir/\r\n', ['mbox ./Maildir/\r']],
  ];
  for (const [content, want] of cases) {
    it(`reads ${JSON.stringify(content)}`, () => {
      const full = want.map((line) => (/^[a-z-]+( |$)/.test(line) ? line : `forward ${line}`));
      assert.deepEqual(linesOf(content), full);
    });
  }
});

test('verdictOfProgram() knows the codes of qmail and of sysexits that are there to stay', () => {
  const codesWith = (verdict: string) =>
    Array.from({ length: 256 }, (_, exit) => exit).filter((exit) => verdictOfProgram(exit) === verdict);
  assert.deepEqual(codesWith('success'), [0]);
  assert.deepEqual(codesWith('stop'), [99]);
  assert.deepEqual(codesWith('permanent'), [64, 65, 70, 76, 77, 78, 100, 112]);
});

function recipientOf(parts: { ext?: string; domain?: string; sender?: string }) {
  const { ext = '', domain = 'x.example', sender = 's@y' } = parts;
  const text = { user: 'joe', home: '/home/joe', local: `joe-${ext}`, ext, domain, sender };
  const { user, home, local } = text;
  return {
    user: bytesOf(user),
    home: bytesOf(home),
    local: bytesOf(local),
    ext: bytesOf(ext),
    domain: bytesOf(domain),
    sender: bytesOf(sender),
  };
}

function variablesOf(parts: Parameters<typeof recipientOf>[0]): { [name: string]: string } {
  const recipient = recipientOf(parts);
  const variables = listVariables(recipient, formatDeliveryLines(recipient, 0));
  return Object.fromEntries(variables.map(([name, value]) => [name, textOf(value)]));
}

describe('listVariables()', () => {
  it('gives parts of domain and extension', () => {
    const { HOST2, HOST3, HOST4, EXT2, EXT3, EXT4 } = variablesOf({ ext: 'a-B-c-d-e', domain: 'a.B.c.d' });
    assert.deepEqual([HOST2, HOST3, HOST4], ['a.B.c', 'a.B', 'a']);
    assert.deepEqual([EXT2, EXT3, EXT4], ['B-c-d-e', 'c-d-e', 'd-e']);
  });

  it('leaves a domain without dots as it is, and has nothing behind a missing dash', () => {
    const { HOST, HOST4, EXT, EXT2, EXT4 } = variablesOf({ ext: 'a', domain: 'single' });
    assert.deepEqual([HOST, HOST4, EXT, EXT2, EXT4], ['single', 'single', 'a', '', '']);
  });

  it('keeps a line end in the address, not in the lines', () => {
    const { RECIPIENT, DTLINE, UFLINE, RPLINE } = variablesOf({ ext: 'a\nb', sender: '' });
    assert.equal(RECIPIENT, 'joe-a\nb@x.example');
    assert.equal(DTLINE, 'Delivered-To: joe-a_b@x.example\n');
    assert.equal(UFLINE, 'From MAILER-DAEMON Thu Jan 01 00:00:00 1970\n');
    assert.equal(RPLINE, 'Return-Path: <>\n');
  });
});

test('ownerAddress() has room for each recipient where the owner wants it', () => {
  const recipient = recipientOf({ ext: 'list' });
  assert.equal(textOf(ownerAddress(recipient, false)), 'joe-list-owner@x.example');
  assert.equal(textOf(ownerAddress(recipient, true)), 'joe-list-owner-@x.example-@[]');
});
