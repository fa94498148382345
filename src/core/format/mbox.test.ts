import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, concatBytes, textOf } from '../bytes/bytes.ts';
import { formatFromLine, MboxQuoter, senderOfFirstLine } from './mbox.ts';

function quote(pieces: readonly string[]): string {
  const quoter = new MboxQuoter();
  const parts = pieces.map((piece) => quoter.receive(bytesOf(piece)));
  return textOf(concatBytes([...parts, quoter.receiveEnd()]));
}

const MESSAGE =
  'From a\n>From b\n>>>From c\nFROM x\n From x\nFrom: x\n> From x\nFrom\n>>From\n>\n\nFromage\n.\r\nFrom z\n';
const QUOTED =
  '>From a\n>>From b\n>>>>From c\nFROM x\n From x\nFrom: x\n> From x\nFrom\n>>From\n>\n\nFromage\n.\r\n>From z\n\n';

test('MboxQuoter quotes From lines with any number of > and no others, however the message is cut', () => {
  assert.equal(quote([MESSAGE]), QUOTED);
  assert.equal(quote(MESSAGE.split('')), QUOTED);
  for (let at = 0; at <= MESSAGE.length; at++) {
    assert.equal(quote([MESSAGE.slice(0, at), MESSAGE.slice(at)]), QUOTED, `cut at ${at}`);
  }
});

test('MboxQuoter keeps an unterminated last line and ends it', () => {
  assert.equal(quote(['a\nlast']), 'a\nlast\n\n');
  assert.equal(quote(['a\n>>Fro']), 'a\n>>Fro\n\n');
  assert.equal(quote(['From ']), '>From \n\n');
});

test('MboxQuoter gives an empty message its empty line', () => {
  assert.equal(quote([]), '\n');
});

test('MboxQuoter takes a line of a million > in linear time', () => {
  const marks = '>'.repeat(1_000_000);
  assert.equal(quote([marks, 'From x\n']).length, 1_000_000 + 1 + 7 + 1);
});

test('formatFromLine() has no blank in the sender, and a name for the null sender', () => {
  assert.equal(
    textOf(formatFromLine(bytesOf('a b\tc\nd@x'), 0)),
    'From a-b-c-d@x Thu Jan 01 00:00:00 1970\n',
  );
  assert.equal(textOf(formatFromLine(bytesOf(''), 0)), 'From MAILER-DAEMON Thu Jan 01 00:00:00 1970\n');
});

test('senderOfFirstLine() takes all but the last two bytes of a Return-Path line', () => {
  const sender = (line: string) => textOf(senderOfFirstLine(bytesOf(line)));
  const unknown = 'X'.repeat(3);
  assert.equal(sender('Return-Path: <a@b>\n'), 'a@b');
  assert.equal(sender('Return-Path: <a@b> (x)\n'), 'a@b> (x');
  assert.equal(sender('Return-Path: <a@b>\r\n'), 'a@b>');
  assert.equal(sender('Return-Path: <>\n'), '');
  assert.equal(sender('Return-Path: <\n'), '');
  assert.equal(sender('return-path: <a@b>\n'), unknown);
  assert.equal(sender('Return-Path: <a@b>'), unknown);
  assert.equal(sender('Subject: x\n'), unknown);
});
