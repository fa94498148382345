import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { buildCdb } from '../core/format/cdb.ts';
import { parseDomainMap, parseDomainSet } from '../core/format/domain-map.ts';
import { compileAssignments } from '../core/format/users-assign.ts';
import { SystemError } from '../host/system-error.ts';
import { guardMailboxes, KnownRecipients } from './known-recipients.ts';

let home: string;
let known: KnownRecipients;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'known-'));
  mkdirSync(join(home, 'control'));
  known = new KnownRecipients(home, {
    envnoathost: bytesOf('hub.example'),
    locals: parseDomainSet([bytesOf('hub.example'), bytesOf('all.example')]),
    percenthack: parseDomainSet([bytesOf('hack.example')]),
    virtualdomains: parseDomainMap(['virtual.example:joe', 'one-x@other.example:j-k'].map(bytesOf)),
  });
});
afterEach(() => rmSync(home, { recursive: true }));

const list = (content: string) => writeFileSync(join(home, 'control/recipients'), content);
const taken = (...recipients: string[]) => recipients.filter((one) => known.takes(bytesOf(one)));

const REMOTE = ['a@far.example', 'x%far.example@hack.example'];

test('without a list every local part that a mailbox can have is taken, and every other domain', () => {
  const all = ['ann@hub.example', 'nobody', '@hub.example', 'x@virtual.example', ...REMOTE];
  assert.deepEqual(taken(...all, `${'x'.repeat(201)}@hub.example`), all);
});

test('with a list its addresses and domains are taken, and postmasters, and every other domain', () => {
  list('# people\nann@hub.example\n@all.example\nInfo@Virtual.Example \n');
  const yes = [
    ...['ann@hub.example', 'ANN@HUB.example', 'ann', 'any@all.example', 'ann%hub.example@hack.example'],
    ...[
      'info@virtual.example',
      'postmaster@hub.example',
      'PostMaster@virtual.example',
      'postmaster',
      '@hub.example',
    ],
    ...REMOTE,
  ];
  const no = [
    'bob@hub.example',
    'bob',
    'ann-x@hub.example',
    'x@virtual.example',
    'x%hub.example@hack.example',
  ];
  assert.deepEqual(taken(...yes, ...no), yes);
});

test('an address with an entry of its own in virtualdomains is known by its own name', () => {
  list('one-x@other.example\n');
  assert.deepEqual(taken('one-x@other.example'), ['one-x@other.example']);
  list('x@other.example\nj-k-one-x@other.example\n');
  assert.deepEqual(taken('one-x@other.example'), []);
});

test('an empty list is one that nobody is in', () => {
  list('');
  assert.deepEqual(taken('ann@hub.example', 'postmaster@hub.example', ...REMOTE), [
    'postmaster@hub.example',
    ...REMOTE,
  ]);
});

test('a change counts at once', () => {
  assert.deepEqual(taken('ann', 'bob'), ['ann', 'bob']);
  list('ann@hub.example\n');
  assert.deepEqual(taken('ann', 'bob'), ['ann']);
  list('bobby@hub.example\nbob@hub.example\n');
  assert.deepEqual(taken('ann', 'bob'), ['bob']);
  rmSync(join(home, 'control/recipients'));
  assert.deepEqual(taken('ann', 'bob'), ['ann', 'bob']);
});

test('a list that cannot be read is an error each time, for local domains only', () => {
  mkdirSync(join(home, 'control/recipients'));
  for (let i = 0; i < 2; i++) assert.throws(() => taken('ann'), SystemError);
  assert.deepEqual(taken(...REMOTE), REMOTE);
});

test('guardMailboxes() delivers to those in the list, returns mail for others, and keeps mail when it cannot tell', async () => {
  const delivered: string[] = [];
  const guarded = guardMailboxes(
    {
      async deliver({ address }) {
        delivered.push(textOf(address));
        return { letter: 'K', text: 'did 1+0+0\n' };
      },
    },
    known,
  );
  const deliver = async (address: string) => {
    const bytes = bytesOf(address);
    const identity = { birthMs: 0, message: '1', recipient: 0 } as never;
    return (await guarded.deliver({ identity, address: bytes, sender: bytes, message: bytes })).letter;
  };
  list('ann@hub.example\nbob@virtual.example\n');
  assert.equal(await deliver('ann@hub.example'), 'K');
  assert.equal(await deliver('joe-bob@virtual.example'), 'K');
  assert.equal(await deliver('eve@hub.example'), 'D');
  rmSync(join(home, 'control/recipients'));
  mkdirSync(join(home, 'control/recipients'));
  assert.equal(await deliver('ann@hub.example'), 'Z');
  assert.deepEqual(delivered, ['ann@hub.example', 'joe-bob@virtual.example']);
});

test('with a list, addresses that users/cdb assigns are known as well, but not for the line that takes all others', () => {
  const records: { key: Uint8Array; data: Uint8Array }[] = [];
  const lines = ['=ann:a:1:1:/:::', '+ann-:a:1:1:/:-::', '+joe-v:j:1:1:/:-::', '+:alias:1:1:/:-::', '.'];
  compileAssignments(bytesOf(lines.join('\n')), (key, data) => records.push({ key, data }));
  mkdirSync(join(home, 'users'));
  writeFileSync(join(home, 'users/cdb'), buildCdb(records)!);
  list('bob@hub.example\n');
  const yes = ['ann@hub.example', 'Ann-x@all.example', 'bob@hub.example', 'vic@virtual.example'];
  assert.deepEqual(taken(...yes, 'carl@hub.example', 'x@virtual.example'), yes);
  writeFileSync(join(home, 'control/localdelivery'), 'mail\n');
  assert.deepEqual(taken(...yes), ['bob@hub.example']);
  writeFileSync(join(home, 'users/cdb'), 'damaged');
  writeFileSync(join(home, 'control/localdelivery'), 'users\n');
  assert.throws(() => taken('ann@hub.example'), SystemError);
});
