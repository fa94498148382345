import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../bytes/bytes.ts';
import { parseControlList } from '../format/control-file.ts';
import { parseDestinationRules } from './destination-rules.ts';

const parse = (text: string) => parseDestinationRules(parseControlList(bytesOf(text)));

function rules(text: string) {
  const parsed = parse(text);
  if (typeof parsed === 'string') throw new Error(parsed);
  return parsed;
}

test('parseDestinationRules() reads every setting', () => {
  const found = rules('Slow.Example:concurrency=3, rate=10/m,suspend,lifetime=3600,retry=60/300/900\n');
  assert.deepEqual(found.find('slow.example'), {
    name: 'slow.example',
    concurrency: 3,
    spacingMs: 6000,
    suspended: true,
    lifetimeSeconds: 3600,
    retrySeconds: [60, 300, 900],
  });
});

test('parseDestinationRules() finds the domain, then what it is below, then the empty name', () => {
  const found = rules(
    ':concurrency=1\n.example:concurrency=2\na.example:concurrency=3\na.example:concurrency=4\n',
  );
  const concurrency = (host: string) => found.find(host)?.concurrency;
  assert.deepEqual(['a.example', 'b.example', 'example', 'constructor'].map(concurrency), [4, 2, 1, 1]);
  assert.equal(rules('a.example:suspend\n').find('b.example'), undefined);
});

test('parseDestinationRules() keeps groups and destinations apart', () => {
  const found = rules('mx=.google.com:concurrency=9\nmx=mx.example:rate=1/s\n');
  assert.equal(found.findGroup('aspmx.l.google.com'), found.findGroup('alt1.aspmx.l.google.com'));
  assert.equal(found.findGroup('aspmx.l.google.com')?.concurrency, 9);
  assert.equal(found.findGroup('mx.example')?.spacingMs, 1000);
  assert.equal(found.findGroup('other.example'), undefined);
  assert.equal(found.find('aspmx.l.google.com'), undefined);
});

for (const [rate, spacingMs] of [
  ['4/s', 250],
  ['10/m', 6000],
  ['60/h', 60_000],
  ['2/d', 43_200_000],
] as const) {
  test(`parseDestinationRules() reads rate=${rate}`, () =>
    assert.equal(rules(`a:rate=${rate}\n`).find('a')?.spacingMs, spacingMs));
}

for (const [entry, problem] of [
  ['a.example', '"a.example" has no colon'],
  ['a:', '"" is not a setting, in "a:"'],
  ['a:suspended', '"suspended" is not a setting, in "a:suspended"'],
  ['a:concurrency=0', '"concurrency=0" is not a setting, in "a:concurrency=0"'],
  ['a:concurrency=', '"concurrency=" is not a setting, in "a:concurrency="'],
  ['a:suspend,concurrency=2x', '"concurrency=2x" is not a setting, in "a:suspend,concurrency=2x"'],
  ['a:rate=5', '"rate=5" is not a setting, in "a:rate=5"'],
  ['a:rate=5/w', '"rate=5/w" is not a setting, in "a:rate=5/w"'],
  ['a:rate=0/s', '"rate=0/s" is not a setting, in "a:rate=0/s"'],
  ['a:rate=5/constructor', '"rate=5/constructor" is not a setting, in "a:rate=5/constructor"'],
  ['a:retry=60//90', '"retry=60//90" is not a setting, in "a:retry=60//90"'],
  ['a:retry=0', '"retry=0" is not a setting, in "a:retry=0"'],
  ['a:lifetime=9999999999', '"lifetime=9999999999" is not a setting, in "a:lifetime=9999999999"'],
] as const) {
  test(`parseDestinationRules() refuses ${entry}`, () => assert.equal(parse(`${entry}\n`), problem));
}
