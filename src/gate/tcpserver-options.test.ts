import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../core/bytes/bytes.ts';
import { Environment } from '../host/raw-arguments.ts';
import { readTcpserverOptions } from './tcpserver-options.ts';

function read(options: readonly (readonly [string, string?])[], variables = {}) {
  const parsed = options.map(([letter, argument = '']) => ({ letter, argument: bytesOf(argument) }));
  return readTcpserverOptions({ options: parsed, words: [], problem: undefined }, new Environment(variables));
}

test('numbers are the digits that an argument begins with', () => {
  for (const [argument, want] of [
    ['12', 12],
    ['12x', 12],
    ['x12', 0],
    ['', 0],
    ['-1', 0],
    ['007', 7],
  ] as const) {
    const settings = read([
      ['c', argument],
      ['t', argument],
    ]);
    assert.deepEqual([settings.limit, settings.identTimeoutMs], [want, want * 1000], argument);
  }
});

test('the last of several options counts', () => {
  const { verbosity, askRemoteHost, isParanoid, noDelay, askRemoteInfo } = read(
    [...'vqQHhpPDdRr'].map((letter) => [letter]),
  );
  assert.deepEqual(
    [verbosity, askRemoteHost, isParanoid, noDelay, askRemoteInfo],
    [1, true, false, false, true],
  );
});

test('-U takes the variables that are set, where it stands', () => {
  const ids = (options: Parameters<typeof read>[0], variables = {}) => {
    const { uid, gid } = read(options, variables);
    return [uid, gid];
  };
  const variables = { UID: '7', GID: '8' };
  assert.deepEqual(ids([['U']], variables), [7, 8]);
  assert.deepEqual(ids([['U'], ['u', '9']], variables), [9, 8]);
  assert.deepEqual(ids([['u', '9'], ['U']], variables), [7, 8]);
  assert.deepEqual(ids([['g', '5'], ['U']]), [0, 5]);
});
