// Tests of the readers of other clients' configuration files: what their programs take, and what must not break a reader.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesOf } from '../bytes/bytes.ts';
import { splitConfigLines } from './config-lines.ts';
import { parseDmaConfig, parseSsmtpConfig } from './key-value-config.ts';
import { parseMsmtpConfig } from './msmtp-config.ts';
import { parseNullmailerRemotes } from './nullmailer-remotes.ts';

const KNOWN = ['host', 'port', 'from', 'tls', 'password'];
const MSMTP =
  'host a\ndefaults\ntls on\naccount one\nhost "h 1"\naccount two : one\nport 5\naccount default : two\n';

test('splitConfigLines() counts lines and drops ends, blanks, comments and a byte order mark', () => {
  const { lines, problems } = splitConfigLines(bytesOf('\xef\xbb\xbfa=1\r\n\n # no\n\tb = 2 \t\r\n\0\nlast'));
  assert.deepEqual(lines, [
    { line: 1, text: 'a=1' },
    { line: 4, text: 'b = 2' },
    { line: 6, text: 'last' },
  ]);
  assert.deepEqual(problems, [{ line: 5, text: 'has a NUL byte: remove it' }]);
});

test('splitConfigLines() refuses a huge line and goes on', () => {
  const { lines, problems } = splitConfigLines(bytesOf(`${'x'.repeat(1_000_000)}\nb\n`));
  assert.deepEqual(lines, [{ line: 2, text: 'b' }]);
  assert.deepEqual(problems, [{ line: 1, text: 'longer than 65536 bytes: shorten it' }]);
});

test('parseSsmtpConfig() takes names in any case, with blanks, and comments behind values', () => {
  const { settings, problems } = parseSsmtpConfig(bytesOf('MailHub = h:587 # x\nroot=\nUseTLS YES\n=x\n'));
  assert.deepEqual(settings, [
    { line: 1, name: 'mailhub', value: 'h:587' },
    { line: 2, name: 'root', value: '' },
  ]);
  assert.deepEqual(
    problems.map(({ line }) => line),
    [3, 4],
  );
});

test('parseDmaConfig() takes names with and without a value', () => {
  const { settings, problems } = parseDmaConfig(bytesOf('SMARTHOST a.b # c\nSTARTTLS\n#PORT 25\nPORT\t587'));
  assert.deepEqual(settings, [
    { line: 1, name: 'SMARTHOST', value: 'a.b' },
    { line: 2, name: 'STARTTLS', value: '' },
    { line: 4, name: 'PORT', value: '587' },
  ]);
  assert.deepEqual(problems, []);
});

test('parseMsmtpConfig() lets accounts take over defaults and settings of others', () => {
  const { accounts, problems } = parseMsmtpConfig(bytesOf(MSMTP), KNOWN);
  assert.deepEqual(
    accounts.map(({ name, line }) => [name, line]),
    [
      ['one', 4],
      ['two', 6],
      ['default', 8],
    ],
  );
  assert.deepEqual(accounts[2]?.settings, [
    { line: 3, name: 'tls', value: 'on' },
    { line: 5, name: 'host', value: 'h 1' },
    { line: 7, name: 'port', value: '5' },
  ]);
  assert.deepEqual(problems, [{ line: 1, text: 'stands before the first account or defaults: move it' }]);
});

test('parseMsmtpConfig() says what is wrong with an account, and reads the others', () => {
  const content =
    'account a : b\nhost x\naccount\naccount c\nhost y\naccount c\nbogus\naccount d:c , e\naccount __proto__\nhost z\n';
  const { accounts, problems } = parseMsmtpConfig(bytesOf(content), KNOWN);
  assert.deepEqual(
    accounts.map(({ name, settings }) => [name, settings.map(({ value }) => value)]),
    [
      ['c', ['y']],
      ['__proto__', ['z']],
    ],
  );
  assert.deepEqual(problems, [
    { line: 1, text: 'account a takes over from one that is not defined before it' },
    { line: 3, text: 'account without a name: give it one' },
    { line: 6, text: 'account c is there twice: rename one' },
    { line: 7, text: 'unknown command: correct or remove it' },
    { line: 8, text: 'account d takes over from one that is not defined before it' },
  ]);
});

test('parseNullmailerRemotes() takes protocol and options, quoted or not, with or without dashes', () => {
  const line = `h smtp --port=587 user='a b' pass="x\\"y" starttls in"sec"ure e\\ f`;
  const { remotes, problems } = parseNullmailerRemotes(
    bytesOf(`# x\n${line}\n10.0.0.1 qmqp\nbare\n'open\n''\n`),
  );
  assert.deepEqual(remotes, [
    {
      line: 2,
      host: 'h',
      protocol: 'smtp',
      options: [
        { name: 'port', value: '587' },
        { name: 'user', value: 'a b' },
        { name: 'pass', value: 'x"y' },
        { name: 'starttls', value: '' },
        { name: 'insecure', value: '' },
        { name: 'e f', value: '' },
      ],
    },
    { line: 3, host: '10.0.0.1', protocol: 'qmqp', options: [] },
    { line: 4, host: 'bare', protocol: 'smtp', options: [] },
  ]);
  assert.deepEqual(
    problems.map(({ line }) => line),
    [5, 6],
  );
});

const READERS: readonly { name: string; read: (content: Uint8Array) => unknown }[] = [
  { name: 'parseSsmtpConfig', read: parseSsmtpConfig },
  { name: 'parseDmaConfig', read: parseDmaConfig },
  { name: 'parseMsmtpConfig', read: (content) => parseMsmtpConfig(content, KNOWN) },
  { name: 'parseNullmailerRemotes', read: parseNullmailerRemotes },
];
const PIECES = [
  'account ',
  'defaults\n',
  'host ',
  'a',
  ':',
  ',',
  '=',
  ' ',
  '\t',
  '"',
  "'",
  '\\',
  '#',
  '\r\n',
  '\n',
  '\0',
  '\xff',
];

for (const { name, read } of READERS) {
  test(`${name}() gives the same for CRLF, and with and without a final newline`, () => {
    const texts = fc
      .array(fc.constantFrom(...PIECES.filter((piece) => piece !== '\r\n')))
      .map((all) => all.join(''));
    fc.assert(
      fc.property(texts, (text) => {
        const plain = JSON.stringify(read(bytesOf(text)));
        assert.equal(JSON.stringify(read(bytesOf(text.replaceAll('\n', '\r\n')))), plain);
        assert.equal(JSON.stringify(read(bytesOf(`${text}\n`))), plain);
      }),
    );
  });

  test(`${name}() takes any bytes in linear time`, () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => read(bytes) !== undefined));
    for (const piece of [...PIECES, 'account a\n', 'account a:a\n', 'a=b\n', '\\"', 'host x\n']) {
      read(bytesOf(piece.repeat(200_000)));
    }
  });
}
