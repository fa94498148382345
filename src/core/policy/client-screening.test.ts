import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { ClientScreening } from './client-screening.ts';

type Answer = string | 'failed' | undefined;

/** Questions asked, and the refusal. Lists: `+` an anti-list, `-` for good, `!` fails closed. */
function screen(lists: string, answers: readonly Answer[], given?: string, ip = '192.0.2.7') {
  const screening = new ClientScreening({
    ip: bytesOf(ip),
    given: given === undefined ? undefined : bytesOf(given),
    lists: lists
      .split(' ')
      .filter((word) => word !== '')
      .map((word) => ({
        base: bytesOf(word.replace(/^[-+!]+/, '')),
        isAntiList: word.includes('+'),
        isPermanent: word.includes('-'),
        failsClosed: word.includes('!'),
      })),
  });
  const questions: string[] = [];
  for (const answer of [...answers, undefined]) {
    const step = screening.next();
    if ('refusal' in step) return [questions.join(' '), step.refusal && textOf(step.refusal)];
    questions.push(`${textOf(step.name)}/${step.type}`);
    screening.answer(answer === undefined ? [] : answer === 'failed' ? 'failed' : [bytesOf(answer)]);
  }
  const last = screening.next();
  assert.ok('refusal' in last);
  return [questions.join(' '), last.refusal && textOf(last.refusal)];
}

test('the environment decides without a question', () => {
  assert.deepEqual(screen('a', [], ''), ['', undefined]);
  assert.deepEqual(screen('a', [], 'No\x7f\xe9'), ['', '451 No??']);
  assert.deepEqual(screen('a', [], '-No'), ['', '553 No']);
  assert.deepEqual(screen('a', [], 'x'.repeat(300)), ['', `451 ${'x'.repeat(200)}`]);
});

test('lists are asked in order until one says something', () => {
  const [a, b] = ['7.2.0.192.a/TXT', '7.2.0.192.b/TXT'];
  assert.deepEqual(screen('a b', [undefined, undefined]), [`${a} ${b}`, undefined]);
  assert.deepEqual(screen('a b', ['spam']), [a, '451 spam']);
  assert.deepEqual(screen('a -b', [undefined, 'spam']), [`${a} ${b}`, '553 spam']);
  assert.deepEqual(screen('+a b', ['xxxx']), ['7.2.0.192.a/A', undefined]);
  assert.deepEqual(screen('a b', ['', 'spam']), [`${a} ${b}`, '451 spam']);
});

test('a failed look-up leaves no refusal for good', () => {
  const [a, b] = ['7.2.0.192.a/TXT', '7.2.0.192.b/TXT'];
  assert.deepEqual(screen('-a', ['failed']), [a, undefined]);
  assert.deepEqual(screen('-!a', ['failed']), [a, '451 temporary RBL lookup error']);
  assert.deepEqual(screen('-a -b', ['failed', 'spam']), [`${a} ${b}`, '451 spam']);
  assert.deepEqual(screen('+a -b', ['failed']), ['7.2.0.192.a/A', undefined]);
  assert.deepEqual(screen('+!a -b', ['failed', 'spam']), [`7.2.0.192.a/A ${b}`, '451 spam']);
});

test('a client without an address is on no list, and IPv6 has its own names', () => {
  assert.deepEqual(screen('a', ['spam'], undefined, ''), ['', undefined]);
  assert.deepEqual(screen('a', ['spam'], undefined, '2001:db8::1'), [
    `1.${'0.'.repeat(23)}8.b.d.0.1.0.0.2.a/TXT`,
    '451 spam',
  ]);
});
