import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { errorText, isTemporaryError } from './error-text.ts';
import { SystemError } from './system-error.ts';

function withCode(code: string): Error {
  return Object.assign(new Error('x'), { code });
}

test('errorText() has qmail’s words for an error of Node, bare or inside a SystemError', () => {
  let error: unknown;
  try {
    readFileSync('/nonexistent/x');
  } catch (caught) {
    error = caught;
  }
  assert.equal(errorText(error), 'file does not exist');
  assert.equal(errorText(new SystemError('read', 'x', error)), 'file does not exist');
});

test('errorText() calls what it does not know an unknown error', () => {
  assert.equal(errorText(withCode('ENOSUCH')), 'unknown error');
  assert.equal(errorText('text'), 'unknown error');
});

test('isTemporaryError() tells what may pass from what stays', () => {
  for (const code of ['ENOMEM', 'EAGAIN', 'EMFILE', 'ECONNREFUSED']) {
    assert.equal(isTemporaryError(withCode(code)), true, code);
  }
  for (const code of ['ENOENT', 'EACCES', 'ENOEXEC', 'E2BIG']) {
    assert.equal(isTemporaryError(withCode(code)), false, code);
  }
});
