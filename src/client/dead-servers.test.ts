import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { findCacheFolder, openDeadServers } from './dead-servers.ts';

const UID = process.getuid?.() ?? 0;
const NOW_MS = 1_700_000_000_000;
const SERVERS = [1, 2, 3].map((port) => ({ host: '192.0.2.1', port }));
const [FIRST, SECOND] = SERVERS as [(typeof SERVERS)[0], (typeof SERVERS)[0]];

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'dead-servers-'));
  mkdirSync(join(home, 'cache'), { mode: 0o755 });
});
afterEach(() => rmSync(home, { recursive: true }));

const open = (nowMs = NOW_MS) => openDeadServers({ home, env: {}, nowMs, uid: UID });
const order = (nowMs?: number) =>
  open(nowMs)
    .order(SERVERS)
    .map(({ port }) => port)
    .join('');
const file = () => join(home, `cache/mini-qmail-servers.${UID}`);
const remember = (nowMs = NOW_MS, server = FIRST) => {
  const history = open(nowMs);
  history.silent(server);
  history.save();
};

test('openDeadServers() puts a silent server last for a minute, and after each silence for twice as long', () => {
  assert.equal(order(), '123');
  for (const [seconds, from] of [
    [60, 0],
    [120, 60],
    [240, 180],
    [480, 420],
    [600, 900],
    [600, 1500],
  ] as const) {
    const nowMs = NOW_MS + from * 1000;
    remember(nowMs);
    assert.equal(order(nowMs), '231');
    assert.equal(order(nowMs + seconds * 1000 - 1000), '231');
    assert.equal(order(nowMs + seconds * 1000), '123');
  }
});

test('openDeadServers() forgets a server that was reached, and everything after an hour', () => {
  remember();
  remember(NOW_MS, SECOND);
  assert.equal(order(), '312');
  const history = open();
  history.reached(FIRST);
  history.save();
  assert.equal(order(), '132');
  const later = NOW_MS + 3_600_000;
  remember(later, SECOND);
  assert.equal(order(later + 59_000), '132');
  assert.equal(order(later + 60_000), '123');
});

test('openDeadServers() writes a private file only when something changed, and leaves nothing else', () => {
  open().save();
  open().reached(FIRST);
  assert.deepEqual(readdirSync(join(home, 'cache')), []);
  remember();
  assert.equal(statSync(file()).mode & 0o777, 0o600);
  assert.equal(readFileSync(file(), 'latin1'), `${NOW_MS / 1000} 1 qmqp://192.0.2.1:1\n`);
  assert.equal(readdirSync(join(home, 'cache')).length, 1);
});

test("openDeadServers() ignores a file that is broken, too large, from the future, or somebody else's", () => {
  const line = `${NOW_MS / 1000} 1 qmqp://192.0.2.1:1\n`;
  const written = (content: string) => {
    rmSync(file(), { force: true });
    writeFileSync(file(), content, { mode: 0o600 });
    return order();
  };
  assert.equal(written(line), '231');
  assert.equal(written(`\0\xff\n${line}${line.slice(0, 20)}`), '231');
  for (const content of [
    '',
    line.slice(0, -3),
    '\0'.repeat(100),
    `x${line}`,
    line.replace(' 1 ', ' 0 '),
    `9${line}`,
  ])
    assert.equal(written(content), '123', content);
  assert.equal(written(`${line}${'x'.repeat(16_384)}`), '123');
  written(line);
  chmodSync(file(), 0o622);
  assert.equal(order(), '123');
  rmSync(file());
  writeFileSync(join(home, 'other'), line);
  symlinkSync(join(home, 'other'), file());
  assert.equal(order(), '123');
  remember();
  assert.equal(order(), '231');
  assert.equal(readFileSync(join(home, 'other'), 'latin1'), line);
});

test('openDeadServers() keeps at most 64 servers, the newest', () => {
  const history = open(NOW_MS - 1000);
  for (let port = 100; port < 164; port++) history.silent({ host: 'x', port });
  history.save();
  remember();
  const lines = readFileSync(file(), 'latin1').trimEnd().split('\n');
  assert.equal(lines.length, 64);
  assert.match(lines[0] ?? '', /192\.0\.2\.1:1$/);
});

test('openDeadServers() works without a folder', () => {
  rmSync(join(home, 'cache'), { recursive: true });
  remember();
  assert.equal(order(), '123');
});

test("findCacheFolder() takes the first folder that is the user's own or shared as /tmp is", () => {
  const cache = join(home, 'cache');
  const runtime = join(home, 'run');
  mkdirSync(runtime, { mode: 0o700 });
  const find = (env = {}) => findCacheFolder({ home, env, uid: UID });
  assert.equal(find({ XDG_RUNTIME_DIR: runtime }), cache);
  chmodSync(cache, 0o1777);
  assert.equal(find(), cache);
  chmodSync(cache, 0o777);
  const elsewhere = find();
  assert.notEqual(elsewhere, cache);
  if (elsewhere === undefined) {
    assert.equal(find({ XDG_RUNTIME_DIR: 'run', XDG_CACHE_HOME: runtime }), runtime);
  }
});

test('findCacheFolder() does not take a folder of another user', { skip: UID !== 0 && 'needs root' }, () => {
  const cache = join(home, 'cache');
  chownSync(cache, 65_534, 65_534);
  assert.notEqual(findCacheFolder({ home, env: {}, uid: UID }), cache);
  chmodSync(cache, 0o1777);
  assert.notEqual(findCacheFolder({ home, env: {}, uid: UID }), cache);
});
