import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { findController } from './getpw.ts';
import { findInText } from './getpw-accounts.ts';

const PASSWD = bytesOf(
  [
    'root:x:0:0::/root:/bin/sh',
    'joe:x:503:78:Joe:/home/joe:/bin/sh',
    'joe-x:x:504:78::/home/joe-x:',
    'away:x:505:78::/missing:/bin/sh',
    'other:x:506:78::/home/joe:/bin/sh',
    `${'l'.repeat(31)}:x:507:78::/home/l:/bin/sh`,
    `${'m'.repeat(32)}:x:507:78::/home/l:/bin/sh`,
    'broken:x:503:78::/home/joe',
    'alias:x:7790:2108::/var/alias:/bin/true',
  ].join('\n'),
);
const OWNERS: { readonly [home: string]: number } = {
  '/root': 0,
  '/home/joe': 503,
  '/home/joe-x': 504,
  '/home/l': 507,
};

function look(local: string, passwd = PASSWD): string | number {
  const found = findController(bytesOf(local), {
    find: (name) => (textOf(name) === 'busy' ? 'busy' : findInText(passwd, name)),
    ownerOf(home) {
      if (textOf(home) === '/home/away') throw new Error('busy');
      return OWNERS[textOf(home)];
    },
  });
  return typeof found === 'number' ? found : textOf(found).replaceAll('\0', ':');
}

const JOE = 'joe:503:78:/home/joe:';
const ALIAS = 'alias:7790:2108:/var/alias:-:';

test('the longest name before a dash has the mail, in any case; the extension keeps its', () => {
  assert.equal(look('joe'), `${JOE}::`);
  assert.equal(look('JOE'), `${JOE}::`);
  assert.equal(look('Joe-Y-z'), `${JOE}-:Y-z:`);
  assert.equal(look('joe-'), `${JOE}-::`);
  assert.equal(look('joe-x-y'), 'joe-x:504:78:/home/joe-x:-:y:');
  assert.equal(look('l'.repeat(31)), `${'l'.repeat(31)}:507:78:/home/l:::`);
});

test('who is root, has no home of their own, or too long a name, gets nothing', () => {
  for (const local of ['root', 'root-x', 'away', 'other', 'broken', 'nosuch-x', '-', 'm'.repeat(32), ''])
    assert.equal(look(local), `${ALIAS}${local}:`);
});

test('without an alias account, or while something cannot be told, an exit code says so', () => {
  assert.equal(look('nosuch', PASSWD.subarray(0, 40)), 116);
  assert.equal(look('busy-x'), 118);
  assert.equal(look('far', bytesOf('far:x:1:1::/home/away:/bin/sh')), 115);
});
