import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../bytes/bytes.ts';
import { parseControlList } from '../format/control-file.ts';
import { parseDomainMap } from '../format/domain-map.ts';
import { findDestination, findHostDestination, parseRelay, relayKey } from './route.ts';

const ROUTES =
  'a.example:first\na.example:last.example:2525\n.sub.example:Wild\n.deep.sub.example:\nexact.sub.example:[10.0.0.1]:26\nno colon\n';

function find(recipient: string, routes = ROUTES) {
  return findDestination(bytesOf(recipient), parseDomainMap(parseControlList(bytesOf(routes))));
}

for (const [recipient, host, port, routed] of [
  ['x@A.Example', 'last.example', 2525, true],
  ['x@b.sub.example', 'wild', 25, true],
  ['x@c.b.sub.example', 'wild', 25, true],
  ['x@exact.sub.example', '[10.0.0.1]', 26, true],
  ['x@q.deep.sub.example', 'q.deep.sub.example', 25, false],
  ['x@sub.example', 'sub.example', 25, false],
  ['x@Other.Example', 'other.example', 25, false],
  ['x@y@other.example', 'other.example', 25, false],
] as const) {
  test(`findDestination() sends ${recipient} to ${host}:${port}`, () => {
    const found = find(recipient);
    assert.deepEqual([found?.host, found?.port, found?.routed], [host, port, routed]);
  });
}

test('findDestination() uses the empty key last', () => {
  assert.equal(find('x@other.example', `${ROUTES}:smart.example\n`)?.host, 'smart.example');
  assert.equal(find('x@a.example', `${ROUTES}:smart.example\n`)?.host, 'last.example');
  assert.equal(find('x@q.deep.sub.example', `${ROUTES}:smart.example\n`)?.routed, false);
});

test('findDestination() gives one key to recipients that can share a connection', () => {
  assert.equal(find('x@one.example', ':smart\n')?.key, find('y@two.example', ':smart\n')?.key);
  assert.notEqual(find('x@smart', '')?.key, find('x@one.example', ':smart\n')?.key);
});

test('findDestination() has no answer without @', () => assert.equal(find('joe'), undefined));

for (const [text, host, port] of [
  ['h:25', 'h', 25],
  ['h:2525x', 'h', 2525],
  ['h:65561', 'h', 25],
  ['h:', 'h', 25],
  ['[::1]:2500', '[::1]', 2500],
  ['[::1]', '[::1]', 25],
  ['[broken:1', '[broken', 1],
] as const) {
  test(`parseRelay() reads ${text}`, () => assert.deepEqual(parseRelay(bytesOf(text)), { host, port }));
}

for (const [text, key, relay] of [
  ['LMTP:Mail.example', 'lmtp:mail.example:24', { host: 'mail.example', port: 24, protocol: 'lmtp' }],
  ['lmtp:[::1]:2424', 'lmtp:[::1]:2424', { host: '[::1]', port: 2424, protocol: 'lmtp' }],
  ['lmtp:127.0.0.1:', 'lmtp:127.0.0.1:24', { host: '127.0.0.1', port: 24, protocol: 'lmtp' }],
  ['lmtp:/run/Mail:1/lmtp', 'lmtp:/run/Mail:1/lmtp', { host: '/run/Mail:1/lmtp', port: 0, protocol: 'lmtp' }],
  ['smtps:relay.example', 'smtps:relay.example:465', { host: 'relay.example', port: 465, protocol: 'smtps' }],
  ['smtps:r:4650', 'smtps:r:4650', { host: 'r', port: 4650, protocol: 'smtps' }],
  ['relay.example:465', 'relay.example:465', { host: 'relay.example', port: 465, protocol: 'smtps' }],
  ['lmtp:2525', 'lmtp:2525', { host: 'lmtp', port: 2525 }],
  ['smtps:', 'smtps:25', { host: 'smtps', port: 25 }],
  ['relay.example', 'relay.example:25', { host: 'relay.example', port: 25 }],
] as const) {
  test(`relayKey() and parseRelay() agree on ${text}`, () => {
    assert.deepEqual(parseRelay(bytesOf(text)), relay);
    assert.equal(relayKey(bytesOf(text)), key);
    assert.deepEqual(parseRelay(bytesOf(key)), relay);
    assert.deepEqual(find('x@a.example', `:${text}\n`), { ...relay, key, routed: true });
  });
}

test('findHostDestination() keeps the name of a relay behind a prefix as it is written', () => {
  const routes = parseDomainMap([bytesOf(':smtps:Relay.Example:4650')]);
  assert.deepEqual(findHostDestination(bytesOf('a.example'), routes), {
    ...{ key: '', host: 'Relay.Example', port: 4650, routed: true, protocol: 'smtps' },
  });
});
