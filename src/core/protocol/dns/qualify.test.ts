import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../../bytes/bytes.ts';
import { qualificationRules, qualifyHost } from './qualify.ts';

const names = (host: string, rules: string[]) => qualifyHost(bytesOf(host), rules.map(bytesOf)).map(textOf);

test('qualifyHost() applies rules in order', () => {
  const rows: [string, string[], string[]][] = [
    ['mail', [], ['mail']],
    ['mail', ['?:.a.example'], ['mail.a.example']],
    ['mail.b', ['?:.a.example'], ['mail.b']],
    ['[1.2.3.4]', ['?:.a'], ['[1.2.3.4]']],
    ['mail.', ['*.:'], ['mail']],
    ['cheetah', ['=CHEETAH:fast.example', '?:.x'], ['fast.example']],
    ['cheetahs', ['=cheetah:fast.example'], ['cheetahs']],
    ['x.local', ['-.local:me.example'], ['me.example']],
    ['x.local', ['*.local:.lan'], ['x.lan']],
    ['x', ['?x:y'], ['y']],
    ['mail', ['no rule', '*', '?:+.a+.b', '*.:'], ['mail.a', 'mail.b']],
  ];
  for (const [host, rules, want] of rows) assert.deepEqual(names(host, rules), want, `${host} ${rules}`);
});

test('qualificationRules() come from the first source that is there', () => {
  const sources = {
    resolvConf: bytesOf('nameserver 1.2.3.4\nsearch c.example d.example\n'),
    hostName: bytesOf('h.e.example'),
  };
  const rules = (more: object) => qualificationRules({ ...sources, ...more }).map(textOf);
  assert.deepEqual(rules({ rewriteFile: bytesOf('=a:b\n\n*c:d') }), ['=a:b', '*c:d']);
  assert.deepEqual(rules({ localDomain: bytesOf('a.example b.example') }), [
    '?:+.a.example+.b.example',
    '*.:',
  ]);
  assert.deepEqual(rules({}), ['?:+.c.example+.d.example', '*.:']);
  assert.deepEqual(rules({ resolvConf: bytesOf('domain x.example') }), ['?:+.x.example', '*.:']);
  assert.deepEqual(rules({ resolvConf: bytesOf('') }), ['?:+.e.example', '*.:']);
  assert.deepEqual(rules({ resolvConf: bytesOf(''), hostName: bytesOf('h') }), ['*.:']);
});
