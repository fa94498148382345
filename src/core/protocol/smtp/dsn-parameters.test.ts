import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NOTIFY } from '../../policy/notification.ts';
import { decodeXtext, readMessageDsn, readRecipientDsn } from './dsn-parameters.ts';

/** What a parameter says of a message, of a recipient, or of one of a message in UTF-8; false if it is refused. */
function read(word: string, where: 'MAIL' | 'RCPT' | 'UTF8'): object | false | undefined {
  const equals = word.indexOf('=');
  const key = equals < 0 ? word : word.slice(0, equals);
  const value = equals < 0 ? undefined : word.slice(equals + 1);
  const dsn = {};
  const isRead =
    where === 'MAIL' ? readMessageDsn(key, value, dsn) : readRecipientDsn(key, value, dsn, where === 'UTF8');
  return isRead ? dsn : isRead;
}

test('parameters of MAIL are read whatever their case', () => {
  assert.deepEqual(read('RET=FULL', 'MAIL'), { ret: 'full' });
  assert.deepEqual(read('RET=hdrs', 'MAIL'), { ret: 'hdrs' });
  assert.deepEqual(read('ENVID=QQ+2B314159', 'MAIL'), { envid: 'QQ+2B314159' });
  assert.deepEqual(read(`ENVID=${'x'.repeat(100)}`, 'MAIL'), { envid: 'x'.repeat(100) });
});

test('parameters of MAIL that are nothing are refused', () => {
  for (const word of ['RET', 'RET=', 'RET=ALL', 'ENVID', 'ENVID=', 'ENVID=a=b', 'ENVID=a+2b', 'ENVID=a+'])
    assert.equal(read(word, 'MAIL'), false, word);
  for (const value of ['a b', 'a\x7f', '\xe9', '+0', '+ZZ', 'x'.repeat(101)])
    assert.equal(read(`ENVID=${value}`, 'MAIL'), false, value);
  assert.equal(read('NOTIFY=NEVER', 'MAIL'), undefined);
});

test('NOTIFY is NEVER alone, or any of the other three', () => {
  const { success, failure, delay } = NOTIFY;
  assert.deepEqual(read('NOTIFY=never', 'RCPT'), { notify: 0 });
  assert.deepEqual(read('NOTIFY=SUCCESS', 'RCPT'), { notify: success });
  assert.deepEqual(read('NOTIFY=Failure,delay', 'RCPT'), { notify: failure + delay });
  assert.deepEqual(read('NOTIFY=DELAY,SUCCESS,FAILURE', 'RCPT'), { notify: 7 });
  for (const value of ['', 'NEVER,SUCCESS', 'SUCCESS,', 'SUCCESS;DELAY', 'ALWAYS'])
    assert.equal(read(`NOTIFY=${value}`, 'RCPT'), false, value);
  assert.equal(read('NOTIFY', 'RCPT'), false);
  assert.equal(read('RET=FULL', 'RCPT'), undefined);
});

test('ORCPT is an address type and an address, which only SMTPUTF8 lets be in UTF-8', () => {
  for (const orcpt of ['rfc822;bob+40site@x.example', 'x400;c+3Dus', 'utf-8;\\x{E9}@x'])
    assert.deepEqual(read(`ORCPT=${orcpt}`, 'RCPT'), { orcpt });
  for (const value of [
    '',
    'rfc822',
    ';a@b',
    'rfc822;',
    'rf(c;a@b',
    'rfc822;a=b',
    'rfc822;a+',
    'utf-8;\xc3\xa9@x',
  ])
    assert.equal(read(`ORCPT=${value}`, 'RCPT'), false, value);
  assert.equal(read(`ORCPT=rfc822;${'x'.repeat(494)}`, 'RCPT'), false);
  assert.deepEqual(read('ORCPT=utf-8;\xc3\xa9@x', 'UTF8'), { orcpt: 'utf-8;\xc3\xa9@x' });
});

test('a parameter that comes twice is refused', () => {
  assert.equal(readMessageDsn('RET', 'FULL', { ret: 'full' }), false);
  assert.equal(readMessageDsn('ENVID', 'a', { envid: 'a' }), false);
  assert.equal(readRecipientDsn('NOTIFY', 'NEVER', { notify: 0 }, false), false);
  assert.equal(readRecipientDsn('ORCPT', 'a;b', { orcpt: 'a;b' }, false), false);
});

test('xtext is decoded, and what is none stays', () => {
  assert.equal(decodeXtext('a+2Bb+3D+'), 'a+b=+');
  assert.equal(decodeXtext('plain+2b'), 'plain+2b');
});
