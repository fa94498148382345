import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { ROOT } from '../../test/support/client-vectors.ts';
import { controlRowsOf } from '../../test/support/manual-tables.ts';
import { checkControlFiles, judgeControlContent } from './check-control-files.ts';
import type { CheckState } from './finding.ts';
import { type ControlFormat, editDistance, KNOWN_CONTROLS, likelyMeant } from './known-controls.ts';

const folder = mkdtempSync(join(tmpdir(), 'doctor-control-'));
after(() => rmSync(folder, { recursive: true }));
let home = '';
let count = 0;
beforeEach(() => {
  home = join(folder, String(++count));
  mkdirSync(join(home, 'control'), { recursive: true });
});

function write(name: string, content = 'x.example\n', mode = 0o644): void {
  writeFileSync(join(home, 'control', name), content);
  chmodSync(join(home, 'control', name), mode);
}

/** What is found beside the sum. */
function findings(...roles: ('client' | 'hub')[]): string[] {
  return checkControlFiles({ home, roles })
    .filter(({ state }) => state !== 'ok')
    .map(({ state, subject, seen }) => `${state} ${subject} ${seen}`);
}

test('the known control files are those of the manual page, with their formats', () => {
  const rows = controlRowsOf(readFileSync(join(ROOT, 'man/qmail-control.5'), 'utf8'));
  const page = rows.map(({ file, format }) => `${file} ${format}`);
  const known = [...KNOWN_CONTROLS].map(([file, format]) => `${file} ${format}`);
  const message = 'src/doctor/known-controls.ts must have the names and formats of man/qmail-control.5';
  assert.deepEqual(known.sort(), [...new Set(page)].sort(), message);
});

test('editDistance() counts changes, omissions and exchanges', () => {
  for (const [a, b, distance] of [
    ['me', 'me', 0],
    ['qmqpserver', 'qmqpservers', 1],
    ['qmpqservers', 'qmqpservers', 1],
    ['defaulthsot', 'defaulthost', 1],
    ['locals', 'local', 1],
    ['rcpthost', 'rcpthosts', 1],
    ['abc', 'xyz', 3],
    ['', 'me', 2],
  ] as const)
    assert.equal(editDistance(a, b), distance, `${a} ${b}`);
});

test('likelyMeant() finds what was misspelt, and no short name for everything', () => {
  assert.equal(likelyMeant('qmqpserver'), 'qmqpservers');
  assert.equal(likelyMeant('QMQPServers'), 'qmqpservers');
  assert.equal(likelyMeant('smtproute'), 'smtproutes');
  assert.equal(likelyMeant('Me'), 'me');
  assert.equal(likelyMeant('he'), undefined);
  assert.equal(likelyMeant('tarpitcount'), undefined);
});

const CONTENTS: readonly [
  name: string,
  format: ControlFormat,
  content: string,
  state: CheckState,
  seen: RegExp,
][] = [
  ['me', 'line', '\xef\xbb\xbfmail.example\n', 'error', /byte order mark/],
  ['me', 'line', 'mail.example\r\n', 'error', /carriage returns/],
  ['me', 'line', '', 'warning', /is empty/],
  ['me', 'line', ' mail.example\n', 'warning', /first character is part/],
  ['me', 'line', '# my name\n', 'warning', /first character is part/],
  ['me', 'line', 'a.example\nb.example\n', 'note', /only its first line counts/],
  ['databytes', 'number', '10M\n', 'warning', /counts as 10: /],
  ['databytes', 'number', 'none\n', 'warning', /"none" is no number/],
  ['databytes', 'number', '-1\n', 'warning', /"-1" is no number/],
  ['databytes', 'number', '4294967297\n', 'error', /too large, and counts as 1/],
  ['locals', 'list', 'a.example\n b.example\n', 'warning', /" b\.example": a blank/],
  ['locals', 'list', 'a.example\0b.example\n', 'error', /NUL bytes/],
];

for (const [name, format, content, state, seen] of CONTENTS) {
  test(`judgeControlContent() says ${state} of ${JSON.stringify(content)} in ${name}`, () => {
    const found = judgeControlContent(name, format, Buffer.from(content, 'latin1'));
    assert.equal(found.length, 1, JSON.stringify(found));
    assert.equal(found[0]!.state, state);
    assert.match(found[0]!.seen, seen);
  });
}

test('judgeControlContent() has nothing to say of what is in order', () => {
  for (const [name, format, content] of [
    ['me', 'line', 'mail.example.org'],
    ['me', 'line', 'mail.example.org \t\n\n'],
    ['databytes', 'number', '0\n'],
    ['databytes', 'number', '4294967295'],
    ['queuediskfree', 'number', '5%\n'],
    ['locals', 'list', ''],
    ['locals', 'list', '# mine\n\na.example \n'],
  ] as const)
    assert.deepEqual(judgeControlContent(name, format, Buffer.from(content)), [], content);
});

test('checkControlFiles() tells names that nobody reads, leftovers apart', () => {
  for (const name of ['me', 'qmqpserver', 'me~', 'locals.bak', 'tarpitcount']) write(name);
  assert.deepEqual(findings('client'), [
    'note control/locals.bak is left over: nobody reads a file of that name',
    'note control/me~ is left over: nobody reads a file of that name',
    'warning control/qmqpserver is read by nobody; is qmqpservers meant?',
    'note control/tarpitcount is read by no program of mini-qmail',
  ]);
});

test('checkControlFiles() tells rights that are too wide or too narrow', () => {
  write('me', 'x.example\n', 0o600);
  write('qmqpservers', '10.0.0.1\n', 0o666);
  write('smtpauth', 'relay:user:secret\n', 0o644);
  const all = ['error control/qmqpservers everybody may write to it'];
  const secret = 'error control/smtpauth holds a secret, and everybody may read it';
  assert.deepEqual(findings('hub'), [...all, secret]);
  const narrow = 'warning control/me programs of other users cannot read it, and send no mail';
  assert.deepEqual(findings('client'), [narrow, ...all, secret]);
  chmodSync(join(home, 'control'), 0o777);
  assert.match(findings('hub')[0]!, /^error .* everybody may write here/);
  chmodSync(join(home, 'control'), 0o700);
  assert.match(findings('client')[0]!, /^warning .* programs of other users cannot read it/);
});

test('checkControlFiles() tells what is a folder, leads nowhere, or is missing as a whole', () => {
  mkdirSync(join(home, 'control/me'));
  symlinkSync('nowhere', join(home, 'control/locals'));
  write('dkim');
  assert.deepEqual(
    findings('hub').map((text) => text.split(':')[0]),
    [
      'error control/dkim is a file and must be a folder',
      'error control/locals cannot be read',
      'error control/me is a folder and must be a file',
    ],
  );
  rmSync(join(home, 'control'), { recursive: true });
  assert.match(findings('hub')[0]!, /^error .*control cannot be read: file does not exist/);
});
