// Our rules and look-ups against the original tcprules and tcprulescheck: the same files to the byte, the same complaints, the
// same answers from each other's files. MINI_QMAIL_LOOKUPS says how many clients are looked up; the nightly run has many.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { bytesOf, textOf } from '../../src/core/bytes/bytes.ts';
import { findTcpRule } from '../../src/core/policy/tcp-rules.ts';
import { describeTcpRule } from '../../src/gate/tcprulescheck.ts';
import { openCdbFile } from '../../src/host/cdb-file.ts';
import { compileRules } from '../support/compile-rules.ts';
import { type Chance, chanceOf } from '../support/fuzz.ts';
import { findPeer, missingPeers } from '../support/peers.ts';
import { randomHost, randomIpv4, randomRules } from '../support/random-rules.ts';

const FILES = 1100;
const LOOKUPS = Number(process.env['MINI_QMAIL_LOOKUPS'] ?? 3000);
const SEED = Number(process.env['MINI_QMAIL_SEED'] ?? 1);

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tcprules-interop-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Runs shell commands in the folder; returns what they print. */
async function shell(commands: readonly string[]): Promise<string> {
  const child = spawn('/bin/sh', ['-s'], { cwd: folder, env: {}, stdio: ['pipe', 'pipe', 'inherit'] });
  const output: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => output.push(piece));
  child.stdin.end(commands.join('\n'), 'latin1');
  const exit = await new Promise((resolve) => child.on('close', resolve));
  assert.equal(exit, 0);
  return Buffer.concat(output).toString('latin1');
}

interface Compiled {
  readonly cdb?: Buffer;
  readonly stderr: string;
}

/** What the original makes of each of the rule files. */
async function compileByOriginal(files: readonly string[]): Promise<Compiled[]> {
  for (const [i, rules] of files.entries()) writeFileSync(join(folder, `${i}.rules`), rules, 'latin1');
  const command = `${findPeer('tcprules')} $i.cdb $i.tmp <$i.rules 2>$i.err || rm $i.tmp`;
  await shell([`i=0; while [ $i -lt ${files.length} ]; do ${command}; i=$((i+1)); done`]);
  return files.map((_, i) => {
    const stderr = readFileSync(join(folder, `${i}.err`), 'latin1');
    return stderr === '' ? { stderr, cdb: readFileSync(join(folder, `${i}.cdb`)) } : { stderr };
  });
}

function assertSame(rules: string, original: Compiled): void {
  const ours = compileRules(rules);
  if ('cdb' in ours) assert.ok(original.cdb?.equals(ours.cdb), `ours differs for ${JSON.stringify(rules)}`);
  else
    assert.equal(
      original.stderr,
      `tcprules: fatal: unable to parse this line: ${ours.bad.replace(/\0.*/s, '')}\n`,
    );
}

test(`${FILES} rule files become the same bytes as with the original tcprules`, {
  skip: missingPeers('tcprules'),
}, async () => {
  const files = Array.from({ length: FILES }, (_, i) => {
    const chance = chanceOf(SEED + i);
    return randomRules(chance, 1 + chance.below(40), chance.of([0, 0, 20]));
  });
  const compiled = await compileByOriginal(files);
  for (const [i, rules] of files.entries()) assertSame(rules, compiled[i]!);
  const accepted = compiled.filter(({ cdb }) => cdb !== undefined).length;
  assert.ok(accepted > FILES / 4 && accepted < FILES, `${accepted} are right`);
});

test('a line that the original accepts means the same, however much it looks like one of ours', {
  skip: missingPeers('tcprules'),
}, async () => {
  const pieces = [
    '[',
    ']',
    '[::1]',
    '[cert:',
    'x',
    '/32',
    ':',
    ':',
    ':allow',
    ':deny',
    ',A=',
    '"',
    '=',
    '@',
    '1.2.3.',
    '-',
    '9',
  ];
  const lines = Array.from({ length: 800 }, (_, i) => {
    const chance = chanceOf(SEED + FILES + i);
    const start = chance.of(['', '[', '[cert:', '[fe80::1]', 'joe@[::1]']);
    return `${start}${Array.from({ length: 2 + chance.below(6) }, () => chance.of(pieces)).join('')}\n`;
  });
  const compiled = await compileByOriginal(lines);
  const accepted = lines.filter((line, i) => {
    if (compiled[i]!.cdb === undefined) return false;
    assertSame(line, compiled[i]!);
    return line.startsWith('[');
  });
  assert.ok(accepted.length > 20, `${accepted.length} are right`);
});

interface Client {
  readonly ip: string;
  readonly host?: string;
  readonly info?: string;
}

function randomClient(chance: Chance): Client {
  return {
    ip: chance.below(20) === 0 ? chance.of(['', '1', '10.1', 'x.y.z.', '1.2.3.4.5']) : randomIpv4(chance),
    ...(chance.below(2) === 0 && { host: randomHost(chance) }),
    ...(chance.below(3) === 0 && { info: chance.of(['', 'joe', 'Ann', 'a@b']) }),
  };
}

/** What the original tcprulescheck prints for each client, by two shells at a time. */
async function checkByOriginal(clients: readonly Client[]): Promise<string> {
  const line = ({ ip, host, info }: Client) =>
    [
      `TCPREMOTEIP='${ip}'`,
      host === undefined ? '' : `TCPREMOTEHOST='${host}'`,
      info === undefined ? '' : `TCPREMOTEINFO='${info}'`,
      `${findPeer('tcprulescheck')} check.cdb`,
    ].join(' ');
  const half = clients.length >> 1;
  const parts = [clients.slice(0, half), clients.slice(half)];
  return (await Promise.all(parts.map((part) => shell(part.map(line))))).join('');
}

function checkByOurs(path: string, clients: readonly Client[]): string {
  const cdb = openCdbFile(path);
  const parts = clients.map((client) => {
    const entries = Object.entries(client).map(([name, value]) => [name, bytesOf(value)]);
    return textOf(describeTcpRule(findTcpRule(cdb.find, Object.fromEntries(entries))));
  });
  cdb.close();
  return parts.join('');
}

/** Asserts equality of long texts, and shows where they part. */
function assertEqualTexts(ours: string, original: string): void {
  if (ours === original) return;
  let at = 0;
  while (ours[at] === original[at]) at++;
  assert.equal(ours.slice(at - 200, at + 200), original.slice(at - 200, at + 200));
}

test(`${LOOKUPS} clients are treated as the original tcprulescheck says`, {
  skip: missingPeers('tcprules', 'tcprulescheck'),
}, async () => {
  const chance = chanceOf(SEED);
  const lines = randomRules(chance, 600).split('\n');
  const rules = lines.filter((line) => 'cdb' in compileRules(line)).join('\n');
  const [original] = await compileByOriginal([rules]);
  assert.equal(original?.stderr, '');
  const compiled = compileRules(rules);
  assert.ok('cdb' in compiled);
  // Each reads the other's file.
  writeFileSync(join(folder, 'check.cdb'), compiled.cdb);
  const clients = Array.from({ length: LOOKUPS }, () => randomClient(chance));
  const ours = checkByOurs(join(folder, '0.cdb'), clients);
  assertEqualTexts(ours, await checkByOriginal(clients));
  const kinds = new Set(ours.match(/^(?:rule (?:=\.?|@|joe|[0-9]+(?:\.[0-9]+){3}:|[0-9])|default|deny)/gm));
  assert.ok(kinds.size >= 7, `rules of every kind were met: ${[...kinds].join(' ')}`);
});

test('the original reads our networks of IPv4, and the rest of a file with IPv6 addresses and certificates', {
  skip: missingPeers('tcprulescheck'),
}, async () => {
  const rules =
    '[2001:db8::]/29:deny\n[cert:x]:allow,A="c"\n10.1.0.0/23:deny\n127.0.0.0/30:allow,A="4"\n[::]/0:deny\n:allow';
  const compiled = compileRules(rules);
  assert.ok('cdb' in compiled);
  writeFileSync(join(folder, 'check.cdb'), compiled.cdb);
  const ips = ['10.1.1.1', '10.1.2.1', '127.0.0.3', '127.0.0.4', 'ip6', '[cert'];
  const clients = ips.map((ip) => ({ ip, info: '[cert:x]', host: '2001:db8::1' }));
  assert.equal(await checkByOriginal(clients), checkByOurs(join(folder, 'check.cdb'), clients));
});
