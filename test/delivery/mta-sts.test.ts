// Policies of domains: fetched from a local HTTPS server with every fault that RFC 8461 names, kept over restarts, and never
// longer than they say.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { bytesOf, textOf } from '../../src/core/bytes/bytes.ts';
import { StsPolicies } from '../../src/delivery/mta-sts.ts';
import { createStsCache } from '../../src/delivery/mta-sts-cache.ts';
import { createStsFetcher } from '../../src/delivery/mta-sts-fetch.ts';
import { createLineLog } from '../../src/host/log.ts';
import { ManualClock } from '../../src/host/manual-clock.ts';
import { makeAuthority, type TestAuthority } from '../support/authority.ts';
import { missingPeers } from '../support/peers.ts';

const skip = missingPeers('openssl');
const DAY_MS = 86_400_000;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mta-sts-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

const text = (mode: string, maxAgeSeconds = 604_800) =>
  `version: STSv1\r\nmode: ${mode}\r\nmx: mx.far.example\r\nmax_age: ${maxAgeSeconds}\r\n`;

/** A domain far.example whose record and policy file a test sets. */
class Domain {
  readonly clock = new ManualClock();
  readonly log: string[] = [];
  /** The id in its record; undefined is none, an error a name server that fails. */
  id: string | undefined | Error = '1';
  file: string | Error = text('enforce');
  fetches = 0;
  policies = this.restart();

  /** Policies without any memory but the folder's. */
  restart(): StsPolicies {
    const log = createLineLog((line) => this.log.push(line));
    this.policies = new StsPolicies({
      ...{ clock: this.clock, log, cache: createStsCache(join(folder, 'cache'), log) },
      resolveTxt: async (name) => {
        assert.equal(name, '_mta-sts.far.example');
        if (this.id instanceof Error) throw this.id;
        return this.id === undefined ? ['v=spf1 -all'] : ['v=spf1 -all', `v=STSv1; id=${this.id};`];
      },
      fetchPolicy: async (domain) => {
        assert.equal(domain, 'far.example');
        this.fetches++;
        if (this.file instanceof Error) throw this.file;
        return bytesOf(this.file);
      },
    });
    return this.policies;
  }

  async mode(): Promise<string | undefined> {
    return (await this.policies.find('far.example'))?.mode;
  }
}

test('a policy is fetched once, at once for all who ask, and again when the id of its record changes', async () => {
  const domain = new Domain();
  assert.deepEqual(await Promise.all([domain.mode(), domain.mode()]), ['enforce', 'enforce']);
  assert.equal(domain.fetches, 1);
  domain.file = text('testing');
  domain.clock.advance(300_000);
  assert.equal(await domain.mode(), 'enforce');
  assert.equal(domain.fetches, 1);
  domain.id = '2';
  assert.equal(await domain.mode(), 'enforce');
  domain.clock.advance(300_000);
  assert.equal(await domain.mode(), 'testing');
  assert.equal(domain.fetches, 2);
});

test('a policy that is kept holds when record or fetch fail, also after a restart, until it is too old', async () => {
  const domain = new Domain();
  assert.equal(await domain.mode(), 'enforce');
  for (const id of [new Error('SERVFAIL'), undefined, '2', '3']) {
    domain.id = id;
    domain.file = id === '3' ? 'nonsense' : new Error('no answer');
    domain.restart();
    domain.clock.advance(DAY_MS);
    assert.equal(await domain.mode(), 'enforce', String(id));
  }
  assert.match(domain.log.join(''), /mtasts\.trouble domain=far\.example reason="it is not a valid policy"/);
  domain.clock.advance(3 * DAY_MS);
  assert.equal(await domain.mode(), undefined);
});

test('a policy is fetched anew when half of its time is over, whatever its id', async () => {
  const domain = new Domain();
  await domain.mode();
  domain.clock.advance(3 * DAY_MS);
  assert.equal(await domain.mode(), 'enforce');
  assert.equal(domain.fetches, 1);
  domain.clock.advance(DAY_MS);
  domain.file = text('testing');
  assert.equal(await domain.mode(), 'testing');
});

test('a fetch that fails is not tried again for five minutes, and without any policy there is none', async () => {
  const domain = new Domain();
  domain.file = new Error('no answer');
  assert.equal(await domain.mode(), undefined);
  domain.clock.advance(299_999);
  assert.equal(await domain.mode(), undefined);
  assert.equal(domain.fetches, 1);
  domain.clock.advance(1);
  domain.file = text('enforce');
  assert.equal(await domain.mode(), 'enforce');
});

test('the mode none takes a policy back', async () => {
  const domain = new Domain();
  assert.equal(await domain.mode(), 'enforce');
  domain.file = text('none');
  domain.id = '2';
  domain.clock.advance(300_000);
  assert.equal(await domain.mode(), undefined);
});

test('a name that could mean a path is not asked for, and damaged files count as none', async () => {
  const domain = new Domain();
  assert.equal(await domain.policies.find('../far.example'), undefined);
  assert.equal(await domain.mode(), 'enforce');
  assert.deepEqual(readdirSync(join(folder, 'cache')), ['far.example']);
  for (const damage of ['', '1 x\nversion: STSv1\n', '\0\xff']) {
    writeFileSync(join(folder, 'cache/far.example'), damage);
    domain.restart();
    assert.equal(await domain.mode(), 'enforce');
  }
  assert.equal(domain.fetches, 4);
});

test('a folder that cannot be written costs a line in the log, and no policy', async () => {
  writeFileSync(join(folder, 'cache'), 'a file in its place');
  const domain = new Domain();
  assert.equal(await domain.mode(), 'enforce');
  domain.id = new Error('SERVFAIL');
  domain.clock.advance(300_000);
  assert.equal(await domain.mode(), 'enforce');
  assert.match(domain.log.join(''), /mtasts\.trouble reason=/);
});

// ---- the fetch

let authority: TestAuthority;
let server: Server;
let answerWith: (response: ServerResponse, path: string, host: string) => void = () => undefined;

before(async () => {
  if (skip !== false) return;
  authority = makeAuthority();
  server = createServer(authority.issue('mta-sts.far.example'), (request, response) =>
    answerWith(response, request.url ?? '', request.headers.host ?? ''),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

after(() => {
  server?.closeAllConnections();
  server?.close();
  authority?.remove();
});

function fetchOf(domain: string, authorities = [authority.pem], timeoutMs = 5000): Promise<Uint8Array> {
  return createStsFetcher({
    resolver: { resolve4: async () => ['127.0.0.1'], resolve6: async () => [] },
    ...{ timeoutMs, port: (server.address() as AddressInfo).port, authorities },
  })(domain);
}

test('a policy file is fetched from the place that RFC 8461 names', { skip }, async () => {
  const asked: string[] = [];
  answerWith = (response, path, host) => {
    asked.push(`${host} ${path}`);
    response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8' }).end(text('enforce'));
  };
  assert.equal(textOf(await fetchOf('far.example')), text('enforce'));
  assert.deepEqual(asked, ['mta-sts.far.example /.well-known/mta-sts.txt']);
});

test('whatever else the policy host does is no policy', { skip }, async () => {
  const plain = { 'Content-Type': 'text/plain' };
  const rows: [string, typeof answerWith, RegExp][] = [
    ['404', (response) => response.writeHead(404, plain).end(text('none')), /HTTP status 404/],
    ['redirect', (response) => response.writeHead(301, { Location: '/x' }).end(), /HTTP status 301/],
    ['304', (response) => response.writeHead(304, plain).end(), /HTTP status 304/],
    [
      'html',
      (response) => response.writeHead(200, { 'Content-Type': 'text/html' }).end('x'),
      /type text\/html/,
    ],
    ['no type', (response) => response.writeHead(200).end('x'), /of type/],
    ['too large', (response) => response.writeHead(200, plain).end('x'.repeat(65_537)), /larger than 64 KiB/],
    [
      'cut',
      (response) =>
        response.writeHead(200, { ...plain, 'Content-Length': 99 }).write('x', () => response.destroy()),
      /./,
    ],
    ['hangs up', (response) => response.destroy(), /./],
  ];
  for (const [name, answer, want] of rows) {
    answerWith = answer;
    await assert.rejects(fetchOf('far.example'), want, name);
  }
  answerWith = () => undefined;
  await assert.rejects(fetchOf('far.example', undefined, 50), /no answer in 50 ms/);
  answerWith = (response) => response.writeHead(200, plain).write('version: STSv1\n');
  await assert.rejects(fetchOf('far.example', undefined, 50), /no answer in 50 ms/);
});

test('a policy host must show a valid certificate of its name', { skip }, async () => {
  answerWith = (response) => response.writeHead(200, { 'Content-Type': 'text/plain' }).end(text('enforce'));
  await assert.rejects(fetchOf('other.example'), /does not match certificate/);
  await assert.rejects(fetchOf('far.example', []), /self-signed certificate/);
});
