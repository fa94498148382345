import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { checkDkimKeys, makeDkimKey } from './dkim-command.ts';

let home = '';
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'dkim-command-'));
  mkdirSync(join(home, 'control'));
});
afterEach(() => rmSync(home, { recursive: true }));

const DOMAIN = 'me.example';

/** The text of a record from its line in a zone. */
function recordOf(line: string): string {
  return [...line.matchAll(/"([^"]*)"/g)].map(([, text]) => text).join('');
}

test('a key is a secret of its owner, and its record fits a zone', () => {
  for (const [selector, type] of [
    ['r', 'rsa'],
    ['e', 'ed25519'],
  ] as const) {
    const line = makeDkimKey({ home, domain: DOMAIN, selector, type });
    assert.match(
      line,
      new RegExp(`^${selector}\\._domainkey\\.me\\.example\\. IN TXT (?:\\( )?"v=DKIM1; k=${type}; p=`),
    );
    assert.equal(line.trimEnd().split('\n').length, 1);
    for (const [, text] of line.matchAll(/"([^"]*)"/g)) assert.ok(text!.length <= 255);
    const path = join(home, 'control/dkim/me.example', `${selector}.key`);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const pem = readFileSync(path, 'latin1');
    assert.throws(() => makeDkimKey({ home, domain: DOMAIN, selector, type }), /it exists already/);
    assert.equal(readFileSync(path, 'latin1'), pem);
  }
});

test('a name that leads elsewhere makes no key', () => {
  for (const [domain, selector] of [
    ['../x', 's'],
    ['me.example', '../s'],
    ['', 's'],
    ['a..b', 's'],
    ['me.example', ''],
  ])
    assert.throws(
      () => makeDkimKey({ home, domain: domain!, selector: selector!, type: 'ed25519' }),
      /is not a name/,
    );
  assert.throws(() => statSync(join(home, 'control/dkim')));
});

test('keys are compared with what DNS has, whatever its blanks and order', async () => {
  const record = recordOf(makeDkimKey({ home, domain: DOMAIN, selector: 's', type: 'rsa' }));
  const key = /p=(.*)$/.exec(record)![1]!;
  const asked: string[] = [];
  const check = async (answers: readonly string[] | 'failed') => {
    const { text, exit } = await checkDkimKeys(home, DOMAIN, async (name, type) => {
      asked.push(`${textOf(name)} ${type}`);
      return answers === 'failed' ? answers : answers.map(bytesOf);
    });
    return `${exit} ${text}`;
  };
  const rows: [readonly string[] | 'failed', string][] = [
    [[record], '0 published'],
    [[`p = ${key.slice(0, 50)} ${key.slice(50)}; n=x`], '0 published'],
    [[], '100 not published'],
    [['v=DKIM1; p='], '100 revoked'],
    [['v=DKIM1; p=AAAA'], '100 published with another key'],
    [[record, record], '100 several records, of which one may be there'],
    ['failed', '111 DNS cannot tell'],
  ];
  for (const [answers, wanted] of rows) {
    const [exit, words] = [wanted.slice(0, wanted.indexOf(' ')), wanted.slice(wanted.indexOf(' ') + 1)];
    assert.equal(await check(answers), `${exit} s._domainkey.me.example: ${words}\n`);
  }
  assert.deepEqual(new Set(asked), new Set(['s._domainkey.me.example TXT']));
  writeFileSync(join(home, 'control/dkim/me.example/t.key'), '');
  await assert.rejects(check([]), /Cannot use the keys of me\.example: .*t\.key/);
});
