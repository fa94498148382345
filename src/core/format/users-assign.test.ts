import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { compileAssignments, findAssignment, parseAssignment } from './users-assign.ts';

function compile(text: string): { isGood: boolean; records: [string, string][] } {
  const records: [string, string][] = [];
  const isGood = compileAssignments(bytesOf(text), (key, data) => records.push([textOf(key), textOf(data)]));
  return { isGood, records };
}

const EXAMPLE = [
  '=Joe:joe:503:78:/home/joe:::',
  '+Joe-:joe:503:78:/home/joe:-::',
  '+:alias:7790:2108:/var/qmail/alias:-::',
  '.',
  '',
].join('\n');

describe('compileAssignments()', () => {
  it('makes a record of each line, and one of the characters that prefixes end in', () => {
    assert.deepEqual(compile(EXAMPLE), {
      isGood: true,
      records: [
        ['!joe\0', 'joe\x00503\x0078\0/home/joe\0\0'],
        ['!joe-', 'joe\x00503\x0078\0/home/joe\0-\0'],
        ['!', 'alias\x007790\x002108\0/var/qmail/alias\0-\0'],
        ['', '-'],
      ],
    });
  });

  it('takes any first byte but a plus for an exact line, and nothing behind the dot or the sixth field', () => {
    const { records } = compile(
      'xA:u:1:2:/h:d:e:more:and:more\n+pX:u:1:2:/h:d:e:\n+qX:u:1:2:/h::e:\n.rest\nnonsense',
    );
    assert.deepEqual(records, [
      ['!a\0', 'u\x001\x002\0/h\0d\0e'],
      ['!px', 'u\x001\x002\0/h\0d\0e'],
      ['!qx', 'u\x001\x002\0/h\0\0e'],
      ['', 'X'],
    ]);
  });

  it('refuses a text that is cut off, and lines in another form', () => {
    const line = '=a:u:1:2:/h:::\n';
    for (const bad of [
      '',
      line,
      `${line}\n.\n`,
      `${line}.`.slice(0, -2),
      '=a:u:1:2:/h::\n.\n',
      ':a:u:1:2:/h:::\n.\n',
      '=a:\0u:1:2:/h:::\n.\n',
      'a\n.\n',
    ])
      assert.equal(compile(bad).isGood, false, JSON.stringify(bad));
    for (const good of ['.', '.\n', `${line}.`])
      assert.equal(compile(good).isGood, true, JSON.stringify(good));
  });
});

describe('findAssignment()', () => {
  const look = (text: string, local: string) => {
    const { records } = compile(text);
    const found = findAssignment(bytesOf(local), (key) => {
      const record = records.find(([name]) => name === textOf(key));
      return record && bytesOf(record[1]);
    });
    return found === undefined || found === 'damaged'
      ? found
      : [textOf(found.data).replaceAll('\0', ':'), found.prefixLength];
  };

  it('prefers the exact line, then the longest prefix, and keeps the case of the rest', () => {
    assert.deepEqual(look(EXAMPLE, 'JOE'), ['joe:503:78:/home/joe::', undefined]);
    assert.deepEqual(look(EXAMPLE, 'joe-Foo.Bar-x'), ['joe:503:78:/home/joe:-:Foo.Bar-x', 4]);
    assert.deepEqual(look(EXAMPLE, 'joe-'), ['joe:503:78:/home/joe:-:', 4]);
    assert.deepEqual(look(EXAMPLE, 'Bill'), ['alias:7790:2108:/var/qmail/alias:-:Bill', 0]);
    const longer = `+j-a-:two:1:1:/:-:p-:\n+j-:one:1:1:/:-::\n.\n`;
    assert.deepEqual(look(longer, 'j-a-b'), ['two:1:1:/:-:p-b', 4]);
    assert.deepEqual(look(longer, 'j-b'), ['one:1:1:/:-:b', 2]);
    assert.equal(look(longer, 'k'), undefined);
  });

  it('asks for a prefix only where one can end, also in capitals as they were written', () => {
    assert.equal(look('+pX:u:1:2:/h:d:e:\n.\n', 'pxy'), undefined);
    assert.deepEqual(look('+px:u:1:2:/h:d:e:\n.\n', 'PXY'), ['u:1:2:/h:d:eY', 2]);
  });

  it('takes a database without the list of characters for damaged', () => {
    assert.equal(
      findAssignment(bytesOf('a'), () => undefined),
      'damaged',
    );
  });

  it('looks up no prefix that no address can have', () => {
    let questions = 0;
    findAssignment(bytesOf('-'.repeat(100_000)), (key) => {
      questions++;
      return key.length === 0 ? bytesOf('-') : undefined;
    });
    assert.equal(questions, 2 + 1003);
  });
});

describe('parseAssignment()', () => {
  it('reads six fields, with a NUL at the end or not', () => {
    for (const end of ['', '\0']) {
      const user = parseAssignment(bytesOf(`joe\x00503\x0078\0/home/joe\0-\0foo${end}`));
      assert.deepEqual(
        [user?.uid, user?.gid, textOf(user!.user), textOf(user!.home), textOf(user!.dash), textOf(user!.ext)],
        [503, 78, 'joe', '/home/joe', '-', 'foo'],
      );
    }
    assert.equal(parseAssignment(bytesOf('joe\x00503\x0078\0/home/joe\0-')), undefined);
  });
});
