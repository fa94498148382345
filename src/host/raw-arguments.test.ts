import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { argumentBytes, Environment } from './raw-arguments.ts';

const SOURCE = join(dirname(fileURLToPath(import.meta.url)), 'raw-arguments.ts');
const PROBE = `import(${JSON.stringify(SOURCE)}).then(({ argumentBytes, Environment }) => {
  const words = argumentBytes(process.argv.slice(1));
  const name = new Environment(process.env).get('RAW_NAME');
  process.stdout.write([...words, name].map((word) => Buffer.from(word).toString('hex')).join(' '));
})`;

test('argumentBytes() and Environment give the bytes that are not UTF-8', () => {
  const line = `word=$(printf 'J\\374rgen'); RAW_NAME=$(printf '\\377=\\376') exec "$0" -e "$1" -- plain "$word" "$(printf 'J\\303\\274')"`;
  const { stdout, stderr } = spawnSync('/bin/sh', ['-c', line, process.execPath, PROBE]);
  assert.equal(stderr.toString(), '');
  assert.equal(stdout.toString(), '706c61696e 4afc7267656e 4ac3bc ff3dfe');
});

test('argumentBytes() takes a U+FFFD that the caller wrote as it is', () => {
  assert.deepEqual(argumentBytes([]), []);
  assert.equal(textOf(argumentBytes(['a'])[0]!), 'a');
});

test('Environment keeps what is set as bytes and shows programs a string', () => {
  const variables = { USER: 'joe', NAME: 'Joe' };
  const env = new Environment(variables);
  env.set('USER', bytesOf('j\xfc'));
  env.remove('NAME', 'OTHER');
  assert.equal(textOf(env.get('USER')!), 'j\xfc');
  assert.equal(env.get('NAME'), undefined);
  assert.equal(env.get('OTHER'), undefined);
  assert.deepEqual(env.strings, { USER: 'j\ufffd' });
  assert.deepEqual(variables, { USER: 'joe', NAME: 'Joe' });
});

test('Environment tells empty from unset', () => {
  const env = new Environment({ USER: '' });
  assert.equal(env.get('USER')?.length, 0);
  env.remove('USER');
  assert.equal(env.get('USER'), undefined);
});
