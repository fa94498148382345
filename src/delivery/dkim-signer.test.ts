import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import type { Facts } from '../host/log.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { readDkimKeyring } from './dkim-keys.ts';
import { DkimSigner } from './dkim-signer.ts';
import { SigningTransport } from './signing-transport.ts';
import type { RemoteDelivery } from './transport.ts';

const PEM = { format: 'pem', type: 'pkcs8' } as const;
const ED25519 = generateKeyPairSync('ed25519').privateKey.export(PEM);
const MESSAGE = bytesOf('From: a@me.example\n\nx\n');

let home = '';
const events: Facts[] = [];

function writeKey(file: string, pem: string | Buffer = ED25519, mode = 0o600): void {
  const path = join(home, 'control/dkim', file);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, pem);
  chmodSync(path, mode);
}

function openSigner(clock = new ManualClock()): DkimSigner {
  const log = { write: (event: string, facts: Facts) => void events.push({ event, ...facts }) };
  return new DkimSigner(readDkimKeyring(home), { clock, log });
}

async function signed(signer: DkimSigner, message = MESSAGE): Promise<string> {
  const result = await signer.sign(message);
  return result instanceof Uint8Array ? textOf(result) : `${result.letter}${result.text}`;
}

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'dkim-keys-'));
  events.length = 0;
});
afterEach(() => rmSync(home, { recursive: true }));

const WAITS = 'ZMail from me.example cannot be signed for now. (#4.7.5)\n';

describe('a domain whose keys are not in order', () => {
  const rsa = (bits: number) => generateKeyPairSync('rsa', { modulusLength: bits }).privateKey.export(PEM);
  const rows: [string, () => void, RegExp][] = [
    [
      'has none',
      () => mkdirSync(join(home, 'control/dkim/me.example'), { recursive: true }),
      /no file SELECTOR\.key/,
    ],
    [
      'lets everybody read it',
      () => writeKey('me.example/s.key', ED25519, 0o644),
      /s\.key: everybody may read this secret \(mode 644\)/,
    ],
    [
      'has one of 1024 bits',
      () => writeKey('me.example/s.key', rsa(1024)),
      /s\.key: 1024 bits; 2048 or more/,
    ],
    [
      'has something else',
      () => writeKey('me.example/s.key', 'hush'),
      /s\.key: not a private key in PEM form/,
    ],
    [
      'has a key of another kind',
      () =>
        writeKey(
          'me.example/s.key',
          generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export(PEM),
        ),
      /s\.key: a key of type ec; rsa or ed25519/,
    ],
    [
      'has a folder for a key',
      () => mkdirSync(join(home, 'control/dkim/me.example/s.key'), { recursive: true, mode: 0o700 }),
      /EISDIR/,
    ],
    [
      'has a selector that DNS cannot have',
      () => writeKey('me.example/a b.key'),
      /a b\.key: not a selector's name/,
    ],
    [
      'has one good key and one bad one',
      () => {
        writeKey('me.example/s.key');
        writeKey('me.example/t.key', '');
      },
      /t\.key: not a private key/,
    ],
  ];
  for (const [name, prepare, reason] of rows)
    test(`${name}: its mail waits, and the log says why`, async () => {
      prepare();
      assert.equal(await signed(openSigner()), WAITS);
      assert.equal(events.length, 1);
      assert.deepEqual([events[0]!['event'], events[0]!['domain']], ['dkim.trouble', 'me.example']);
      assert.match(String(events[0]!['reason']), reason);
      assert.doesNotMatch(String(events[0]!['reason']), /hush/);
      assert.equal(await signed(openSigner(), bytesOf('From: a@other.example\n\nx\n')), '');
    });
});

test('the first domain of From that has a folder signs, for those below it if it says so', async () => {
  writeKey('me.example/s.key');
  writeKey('b.example/u.key');
  const signer = openSigner();
  const signs = async (from: string) =>
    /d=([^;]*); s=(\w*)/
      .exec(await signed(signer, bytesOf(`From: ${from}\n\n`)))
      ?.slice(1)
      .join();
  assert.equal(await signs('x@ME.Example'), 'me.example,s');
  assert.equal(await signs('x@none.example, y@b.example, z@me.example'), 'b.example,u');
  assert.equal(await signs('x@sub.me.example'), undefined);
  writeKey('me.example/subdomains', '');
  signer.reload(readDkimKeyring(home));
  assert.equal(await signs('x@deep.sub.me.example'), 'me.example,s');
  assert.equal(await signs('x@notme.example'), undefined);
  assert.equal(await signs(`x@${'a.'.repeat(100_000)}me.example`), undefined);
});

test('a domain that cannot be read does not let mail from below it leave', async () => {
  writeKey('me.example/s.key', 'bad');
  writeKey('me.example/subdomains', '');
  assert.equal(await signed(openSigner(), bytesOf('From: a@sub.me.example\n\n')), WAITS);
});

test('the file headers says what is signed', async () => {
  writeKey('me.example/s.key');
  writeKey('me.example/headers', '# ours\nSubject\nX-*\n');
  const message = 'To: b\nX-A: 1\nsubject: s\nFrom: a@me.example\nX-B: 2\n\n';
  assert.match(await signed(openSigner(), bytesOf(message)), / h=x-b:from:subject:x-a:from;/);
});

test('a message is signed once, however often it is sent, and anew after a reload', async () => {
  writeKey('me.example/s.key');
  const clock = new ManualClock();
  const signer = openSigner(clock);
  const first = await signed(signer);
  clock.advance(5000);
  assert.equal(await signed(signer, Uint8Array.from(MESSAGE)), first);
  assert.notEqual(await signed(signer, bytesOf('From: a@me.example\n\ny\n')), first);
  signer.reload(readDkimKeyring(home));
  assert.match(first, /t=1000000000;/);
  assert.match(await signed(signer), /t=1000000005;/);
});

test('signing a large message leaves others their turns', async () => {
  writeKey('me.example/s.key');
  const message = bytesOf(`From: a@me.example\n\n${'line\n'.repeat(1_000_000)}`);
  let turns = 0;
  let isOver = false;
  const count = () => {
    turns++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  assert.match(await signed(openSigner(), message), /^DKIM-Signature: /);
  isOver = true;
  assert.ok(turns > 5, String(turns));
});

test('what must wait is not handed to the transport, and what is signed is the message as it was behind the signature', async () => {
  const given: string[] = [];
  const inner = {
    async deliver({ message }: RemoteDelivery) {
      given.push(textOf(message));
      return { outcomes: [], contact: 'answered' as const };
    },
    async close() {},
  };
  writeKey('me.example/s.key', 'bad');
  const delivery = {
    destination: { key: '', host: '', port: 25, routed: true },
    ...{ sender: bytesOf(''), recipients: [bytesOf('a'), bytesOf('b')], message: MESSAGE },
  };
  const waiting = await new SigningTransport(inner, openSigner()).deliver(delivery);
  assert.deepEqual(waiting, {
    outcomes: [1, 2].map(() => ({ letter: 'Z', text: WAITS.slice(1) })),
    contact: 'answered',
  });
  assert.deepEqual(given, []);
  writeKey('me.example/s.key');
  await new SigningTransport(inner, openSigner()).deliver(delivery);
  assert.match(given[0]!, /^DKIM-Signature: v=1;[\s\S]*\r\nFrom: a@me\.example\n\nx\n$/);
});
