import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import type { AskDns } from '../host/dns-client.ts';
import { Environment } from '../host/raw-arguments.ts';
import { listenFailure, passedSocket, resolveHost, resolvePort, StartFailure } from './listen.ts';

test('resolvePort() takes digits as a number of 16 bits, anything else as a name', () => {
  for (const [port, want] of [
    ['', 0],
    ['0', 0],
    ['628', 628],
    ['65537', 1],
    ['18446744073709551641', 25],
    ['smtp', 25],
  ] as const) {
    assert.equal(resolvePort(bytesOf(port)), want, port);
  }
  for (const port of ['nosuchport', '25x', '-1']) {
    assert.throws(() => resolvePort(bytesOf(port)), {
      message: `unable to figure out port number for ${port}`,
    });
  }
});

const ASKED: string[] = [];
const ask: AskDns = async (name) => {
  ASKED.push(textOf(name));
  if (textOf(name) === 'broken.example') return 'failed';
  return textOf(name) === 'mx.b.example' ? [Uint8Array.of(192, 0, 2, 7), Uint8Array.of(192, 0, 2, 8)] : [];
};

test('resolveHost() takes addresses as they are and asks for names, with each domain', async () => {
  const env = new Environment({ LOCALDOMAIN: 'a.example b.example', DNSREWRITEFILE: '/nonexistent/rules' });
  for (const [host, want] of [
    ['', '0.0.0.0'],
    ['0', '0.0.0.0'],
    ['127.0.0.1', '127.0.0.1'],
    ['[127.0.0.1]', '127.0.0.1'],
    ['1.2.3.260', '1.2.3.4'],
    ['::', '::'],
    ['[::1]', '::1'],
    ['mx', '192.0.2.7'],
    ['mx.b.example.', '192.0.2.7'],
  ] as const) {
    assert.equal(await resolveHost(bytesOf(host), ask, env), want, host);
  }
  assert.deepEqual(ASKED, ['mx.a.example', 'mx.b.example', 'mx.b.example']);
  for (const [host, message] of [
    ['1.2.3', 'no IP address for 1.2.3'],
    ['other', 'no IP address for other'],
    ['broken.example', 'temporarily unable to figure out IP address for broken.example: timed out'],
  ] as const) {
    await assert.rejects(resolveHost(bytesOf(host), ask, env), { message });
  }
});

test('passedSocket() is for this process only', () => {
  const pid = String(process.pid);
  const passed = (variables: NodeJS.ProcessEnv) => passedSocket(new Environment(variables));
  assert.equal(passed({ LISTEN_PID: pid, LISTEN_FDS: '1' }), 3);
  assert.equal(passed({ LISTEN_PID: pid, LISTEN_FDS: '0' }), undefined);
  assert.equal(passed({ LISTEN_PID: '1', LISTEN_FDS: '1' }), undefined);
  assert.equal(passed({ LISTEN_FDS: '1' }), undefined);
});

test('listenFailure() names the step that Node does not tell', () => {
  for (const [code, want] of [
    ['EADDRINUSE', 'unable to bind: address already used'],
    ['EACCES', 'unable to bind: access denied'],
    ['EMFILE', 'unable to create socket: process cannot open more files'],
    ['EINVAL', 'unable to listen: invalid argument'],
  ] as const) {
    const failure = listenFailure(Object.assign(new Error('x'), { code }));
    assert.ok(failure instanceof StartFailure);
    assert.equal(failure.message, want);
  }
});
