import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { HeaderSplitter } from './header-field.ts';
import { Injection } from './inject.ts';
import { parseDefault, type RecipientSource, readInjectUser } from './inject-settings.ts';
import type { TokenList } from './tokens.ts';

interface Setup {
  readonly env?: { readonly [name: string]: string };
  readonly recipientSource?: RecipientSource;
  readonly args?: readonly string[];
  readonly senders?: readonly string[];
  readonly lists?: readonly string[];
}

interface Result {
  readonly header?: string;
  readonly envelope?: string;
  readonly failure?: string;
}

function create(setup: Setup): Injection {
  const env = setup.env ?? { USER: 'joe' };
  const tokens = (separator: '@' | '.', value: string) =>
    parseDefault(separator, bytesOf(value)) as TokenList;
  return new Injection({
    user: readInjectUser((name) => (env[name] === undefined ? undefined : bytesOf(env[name]))),
    defaults: {
      host: tokens('@', 'mail.example.org'),
      domain: tokens('.', 'example.org'),
      plus: tokens('.', 'plus.example.net'),
    },
    idHost: bytesOf('id.example.org\0cut'),
    followupLists: setup.lists?.map(bytesOf),
    recipientSource: setup.recipientSource ?? 'header',
    nowMs: 1700000000999,
    pid: 1234,
  });
}

function inject(message: string, setup: Setup = {}): Result {
  const injection = create(setup);
  for (const sender of setup.senders ?? []) injection.setSender(bytesOf(sender));
  for (const address of setup.args ?? []) injection.addRecipient(bytesOf(address));
  const splitter = new HeaderSplitter((field) => injection.onField(field));
  splitter.receive(bytesOf(message));
  splitter.receiveEnd();
  const header = injection.finishHeader();
  if (header === undefined) {
    assert.equal(injection.failure?.exit, 100);
    return { failure: textOf(injection.failure.text) };
  }
  return { header: textOf(header), envelope: textOf(injection.envelope()).replace(/\0/g, '|') };
}

const DATE = 'Date: 14 Nov 2023 22:13:20 -0000\n';
const ID = 'Message-ID: <20231114221320.1234.qmail@id.example.org>\n';
const FROM = 'From: joe@mail.example.org\n';
const NO_CC = 'Cc: recipient list not shown: ;\n';

test('Injection puts generated fields before kept ones and deletes Bcc', () => {
  assert.deepEqual(inject('X-A: 1\nTo: bob, "Al X" <al@host>\nBcc: c@x.y\nContent-Length: (\nSubject: s\n'), {
    header: `${DATE}${ID}${FROM}X-A: 1\nTo: bob@mail.example.org, "Al X" <al@host.example.org>\nSubject: s\n`,
    envelope: 'Fjoe@mail.example.org|Tal@host.example.org|Tbob@mail.example.org|Tc@x.y||',
  });
});

test('Injection adds only what the header lacks, empty fields included', () => {
  assert.equal(inject('').header, DATE + ID + FROM + NO_CC);
  assert.equal(inject('To:\nFrom:\nDate:\nMessage-ID:\n').header, 'To:\nFrom:\nDate:\nMessage-ID:\n');
  assert.equal(
    inject('Apparently-To: a\n').header,
    `${DATE}${ID}${FROM}${NO_CC}Apparently-To: a@mail.example.org\n`,
  );
});

test('Injection takes recipients of a resent message from its Resent fields only', () => {
  const message = 'To: a\nResent-To: b\nBcc: c\nResent-Bcc: d\nResent-Cc: e\nDate: x\n';
  const generated = `Resent-${DATE}Resent-${ID}Resent-${FROM}`;
  const at = '@mail.example.org';
  assert.deepEqual(inject(message), {
    header: `${generated}To: a${at}\nResent-To: b${at}\nResent-Cc: e${at}\nDate: x\n`,
    envelope: `Fjoe${at}|Tb${at}|Td${at}|Te${at}||`,
  });
  assert.equal(
    inject('Resent-Date: x\n').header,
    `Resent-${ID}Resent-${FROM}Resent-${NO_CC}Resent-Date: x\n`,
  );
});

test('Injection takes recipients from where it is told', () => {
  const envelope = (recipientSource: RecipientSource) =>
    inject('To: a@h.i\n', { recipientSource, args: ['z', 'y'] }).envelope;
  const sender = 'Fjoe@mail.example.org|';
  assert.equal(envelope('arguments'), `${sender}Tz@mail.example.org|Ty@mail.example.org||`);
  assert.equal(envelope('header'), `${sender}Ta@h.i||`);
  assert.equal(envelope('both'), `${sender}Tz@mail.example.org|Ty@mail.example.org|Ta@h.i||`);
});

test('Injection ends an address in the envelope at its first NUL', () => {
  assert.equal(inject('To: a\0b@x.y\n').envelope, 'Fjoe@mail.example.org|Ta||');
});

const SENDERS: [string, string, Setup, string][] = [
  ['the user and default host', '', {}, 'joe@mail.example.org'],
  ['no user', '', { env: {} }, 'anonymous@mail.example.org'],
  ['letter r', '', { env: { USER: 'joe', QMAILINJECT: 'r' } }, 'joe-@mail.example.org-@[]'],
  ['letter m', '', { env: { USER: 'joe', QMAILINJECT: 'm' } }, 'joe-1700000000.1234@mail.example.org'],
  [
    'letters r and m',
    '',
    { env: { USER: 'joe', QMAILINJECT: 'rxm', QMAILSHOST: 'v.example' } },
    'joe-1700000000.1234-@v.example-@[]',
  ],
  [
    'sender variables',
    '',
    { env: { QMAILSUSER: 'bounce', QMAILSHOST: 'b.example', QMAILHOST: 'h.example' } },
    'bounce@b.example',
  ],
  ['a short sender host', '', { env: { USER: 'joe', QMAILSHOST: 'b' } }, 'joe@b.example.org'],
  ['a host with plus', '', { env: { USER: 'joe', QMAILHOST: 'cs+' } }, 'joe@cs.plus.example.net'],
  ['an empty user', '', { env: { QMAILSUSER: '' } }, '@mail.example.org'],
  ['a user with blank', '', { env: { USER: 'joe user' } }, 'joe user@mail.example.org'],
  ['a literal as host', '', { env: { USER: 'joe', QMAILHOST: '[1.2.3.4]' } }, 'joe@[1.2.3.4]'],
  ['a list as host', '', { env: { USER: 'joe', QMAILHOST: 'a,b' } }, 'b@mail.example.org'],
  ['an empty host', '', { env: { USER: 'joe', QMAILHOST: '' } }, 'joe@mail.example.org'],
  ['-f', '', { senders: ['x', 'a b@c'], env: { QMAILINJECT: 'rm' } }, 'a b@c.example.org'],
  ['an empty -f', '', { senders: [''] }, ''],
  ['-f before Return-Path', 'Return-Path: <z@z.z>\n', { senders: ['a@b.c'] }, 'a@b.c'],
  [
    'the rightmost address of Return-Path',
    'Return-Path: (none)\nReturn-Path: a, b\nReturn-Path: c\n',
    {},
    'b@mail.example.org',
  ],
  ['an empty Return-Path', 'Return-Path: <>\n', {}, ''],
  [
    'Return-Path with letter r',
    'Return-Path: <own@l.example>\n',
    { env: { QMAILINJECT: 'rm' } },
    'own@l.example-@[]',
  ],
  ['an empty Return-Path with letter r', 'Return-Path: <>\n', { env: { QMAILINJECT: 'r' } }, '-@[]'],
  [
    'no Return-Path with letter s',
    'Return-Path: (\n',
    { env: { USER: 'joe', QMAILINJECT: 's' } },
    'joe@mail.example.org',
  ],
];

for (const [name, message, setup, want] of SENDERS) {
  test(`Injection takes the sender from ${name}`, () => {
    assert.equal(inject(message, setup).envelope, `F${want}||`);
  });
}

const FROMS: [{ [name: string]: string }, string][] = [
  [{ NAME: 'Joe User' }, '"Joe User" <joe@mail.example.org>'],
  [{ NAME: 'Joe (The) User', QMAILINJECT: 'c' }, 'joe@mail.example.org (Joe \\(The\\) User)'],
  [{ NAME: '' }, '"" <joe@mail.example.org>'],
  [{ NAME: '', QMAILINJECT: 'c' }, 'joe@mail.example.org ()'],
  [{ NAME: 'no', MAILNAME: 'no', QMAILNAME: 'A\nB' }, '"A\\\nB" <joe@mail.example.org>'],
  [{ NAME: 'J. "Q" (X) \\ Z' }, '"J. \\"Q\\" \\(X\\) \\\\ Z" <joe@mail.example.org>'],
  [{ MAILUSER: 'joe user' }, '"joe user"@mail.example.org'],
  [{ MAILUSER: '' }, '""@mail.example.org'],
  [{ QMAILUSER: 'joe@other.example' }, '"joe@other.example"@mail.example.org'],
  [{ QMAILHOST: '[1.2.3.4]' }, 'joe@\\[1.2.3."4\\]"'],
  [{ QMAILHOST: 'a,b' }, 'joe@a.example.org, b@mail.example.org'],
  [{ MAILHOST: 'a"b' }, 'joe@a\\"b.example.org'],
  [{ QMAILHOST: 'x.y', MAILHOST: 'no' }, 'joe@x.y'],
];

for (const [variables, want] of FROMS) {
  test(`Injection generates From for ${JSON.stringify(variables)}`, () => {
    const env = { USER: 'joe', LOGNAME: 'no', ...variables };
    assert.equal(inject('', { env }).header, `${DATE}${ID}From: ${want}\n${NO_CC}`);
  });
}

test('Injection generates anew what letters f and i drop', () => {
  const env = { USER: 'joe', QMAILINJECT: 'fi' };
  const message = 'From: )\nMessage-ID: x\nResent-Message-ID: y\nTo:\nDate:\n';
  assert.equal(
    inject(message, { env }).header,
    `Resent-${DATE}Resent-${FROM}Resent-${NO_CC}Resent-Message-ID: y\nTo:\nDate:\n`,
  );
  assert.equal(inject('From: )\nMessage-ID: x\nTo:\nDate:\n', { env }).header, `${ID}${FROM}To:\nDate:\n`);
});

const ARGUMENTS: [string, string | undefined][] = [
  ['joe', 'joe@mail.example.org'],
  ['a b@c.d', 'a b@c.d'],
  ['"x"@c.d', '"x"@c.d'],
  ['<y@z.w>', '<y@z.w>'],
  ['<>', '<>@mail.example.org'],
  ['@r.s:a@b.c', '@r.s:a@b.c'],
  ['a@b@c', 'a@b@c.example.org'],
  ['@', '@mail.example.org'],
  ['.', '.@mail.example.org'],
  ['x@', 'x@mail.example.org'],
  ['joe@h.i.', 'joe@h.i'],
  ['joe@x.y(comment)', 'joe@x.y'],
  ['a@b c', 'a@bc.example.org'],
  ['joe@a,b@c', 'joe@a,b@c.example.org'],
  ['joe@x\\.y', 'joe@x.y.example.org'],
  ['#@[]', '#@[]'],
  ['owner-@l.example-@[]', 'owner-@l.example-@[]'],
  ['', ''],
  ['joe@)b', undefined],
];

for (const [argument, want] of ARGUMENTS) {
  test(`Injection ${want === undefined ? 'refuses' : 'completes'} the recipient argument ${JSON.stringify(argument)}`, () => {
    const result = inject('', { recipientSource: 'arguments', args: [argument] });
    if (want === undefined) assert.equal(result.failure, `unable to parse address: ${argument}\n`);
    else assert.equal(result.envelope, `Fjoe@mail.example.org|T${want}||`);
  });
}

test('Injection refuses what it cannot parse, the first problem first', () => {
  const line = (text: string) => ({ failure: `unable to parse this line:\n${text}` });
  assert.deepEqual(
    inject('To: a\nCc: (\n b\nBcc: )\n', { recipientSource: 'arguments' }),
    line('Cc: (\n b\n'),
  );
  assert.deepEqual(inject('Return-Path: )\n', { senders: ['a'] }), line('Return-Path: )\n'));
  assert.deepEqual(inject('', { senders: ['a b@)'] }), line('"a b"@)'));
  assert.deepEqual(inject('', { env: { QMAILHOST: '>' } }), line('Return-Path: "anonymous"@>\n'));
  assert.deepEqual(inject('', { env: { QMAILHOST: '>', QMAILSHOST: 'x' } }), line('From: anonymous@>\n'));
});

const BOB = 'To: bob@x.y, list@l.example\nCc: carol@x.y, dave\n';
const FOLLOWUP = 'Mail-Followup-To: carol@x.y,\n  dave@mail.example.org,\n  bob@x.y,\n  list@l.example\n';

test('Injection adds Mail-Followup-To when a list is addressed, later fields first', () => {
  const lists = ['other@l.example', 'LIST@L.example'];
  assert.ok(inject(BOB, { lists }).header?.startsWith(DATE + ID + FROM + FOLLOWUP));
  assert.ok(inject('Cc: a b@\\@list, l@l.l\n', { lists: ['l@l.l'] }).header?.includes('-To: a@mail'));
});

test('Injection adds no Mail-Followup-To where it does not belong', () => {
  const has = (message: string, lists: string[]) =>
    inject(message, { lists }).header?.includes('Followup-To: c');
  assert.equal(has(BOB, ['nobody@l.example']), false);
  assert.equal(has(BOB, []), false);
  assert.equal(has(`${BOB}Resent-To: x\n`, ['list@l.example']), false);
  assert.equal(has(`${BOB}Mail-Followup-To: x\n`, ['list@l.example']), false);
  assert.equal(has('Apparently-To: list@l.example\nTo: c\n', ['list@l.example']), false);
});

test('Injection never throws, and always gives a whole envelope or the failure', () => {
  const noise = fc.array(
    fc.constantFrom(
      'To:',
      'Cc:',
      'From:',
      'Return-Path:',
      '\n',
      ' ',
      '<',
      '>',
      '@',
      ',',
      ';',
      ':',
      '.',
      '"',
      '(',
      ')',
      '[',
      ']',
      '\\',
      '+',
      '\0',
      '\xff',
      '\r',
      'a',
      'bc',
    ),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(noise, fc.constantFrom('', 'c', 'r', 'rm'), (parts, letters) => {
      const result = inject(`To: a\nCc: ${parts.join('')}`, {
        env: { USER: parts.slice(0, 3).join('').replace(/\0/g, ''), QMAILINJECT: letters },
      });
      if (result.failure !== undefined) assert.match(result.failure, /^unable to parse this line:\n/);
      else {
        assert.match(result.envelope ?? '', /^F[^|]*\|(T[^|]*\|)*\|$/s);
        assert.ok(result.header?.endsWith('\n'));
      }
    }),
    { numRuns: 2000 },
  );
});

const MEGABYTE = 1000000;
const HOSTILE: [string, string][] = [
  ['a comment nested a million deep', `To: ${'('.repeat(MEGABYTE)}${')'.repeat(MEGABYTE)}a\n`],
  ['a million opening parentheses', `To: ${'('.repeat(MEGABYTE)}\n`],
  ['a million opening brackets', `To: ${'<'.repeat(MEGABYTE)}>\n`],
  ['a million empty addresses', `To: ${'<>'.repeat(MEGABYTE / 2)}\n`],
  ['a million words', `To: ${'a '.repeat(MEGABYTE / 2)}\n`],
  ['a million addresses', `To: ${'a,'.repeat(MEGABYTE / 2)}\n`],
  ['a million dots and ats', `To: ${'.@'.repeat(MEGABYTE / 2)}\n`],
  ['a route of a million hops', `To: <${'@a,'.repeat(MEGABYTE / 3)}:joe@x>\n`],
  ['a million groups', `To: ${'a:b;,'.repeat(MEGABYTE / 5)}\n`],
  ['an address of a megabyte', `To: ${'a'.repeat(MEGABYTE)}+\n`],
  ['a line of a megabyte without colon', 'a'.repeat(MEGABYTE)],
  ['a megabyte of blanks before a colon', `To${' '.repeat(MEGABYTE)}: a\n`],
  ['a field of a million lines', `To: a${',\n a'.repeat(MEGABYTE / 4)}\n`],
  ['a hundred thousand fields', 'To: a\n'.repeat(MEGABYTE / 6)],
];

for (const [name, message] of HOSTILE) {
  test(`Injection takes ${name} in linear time`, () => {
    const start = process.cpuUsage();
    inject(message, { lists: ['l@l'] });
    const { user } = process.cpuUsage(start);
    // A quadratic step would take minutes.
    assert.ok(user < 6000000, `${user / 1000} ms`);
  });
}
