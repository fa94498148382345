// Runs the golden vectors of tcpserver against a tcpserver of the test's choice.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './client-vectors.ts';
import { type DnsZone, startFakeDns } from './fake-dns-server.ts';
import { connectClient, startTcpserver, type TcpClient, type TcpserverProcess } from './tcpserver-process.ts';

interface ConnectionCase {
  readonly from: string;
  readonly to: string;
  readonly rules_before?: string;
  readonly send?: string;
  readonly child_env?: { readonly [name: string]: string };
  readonly banner_received?: string;
  readonly received?: string;
}

interface IdentCase {
  readonly ip: string;
  readonly response: string;
}

/** One case. Strings are bytes, one per character. */
export interface TcpserverCase {
  readonly name: string;
  readonly argv: readonly string[];
  readonly env: { readonly [name: string]: string };
  readonly rules?: string;
  readonly files?: { readonly [name: string]: string };
  readonly dns?: DnsZone | null;
  readonly ident?: IdentCase;
  readonly overlap?: boolean;
  readonly needs: readonly string[];
  readonly expect: {
    readonly exit?: number;
    readonly exit_after_sigterm?: number;
    readonly stdout: string;
    readonly stderr: string;
    readonly connections?: readonly ConnectionCase[];
    readonly ident_queries?: readonly string[];
  };
}

/** All cases of test/vectors/tcpserver.json. */
export function readTcpserverCases(): TcpserverCase[] {
  return JSON.parse(readFileSync(join(ROOT, 'test/vectors/tcpserver.json'), 'utf8'));
}

/** Whether a case needs port 113 of an address for itself, so that no other may run beside it. */
export function asksIdent({ argv, expect }: TcpserverCase): boolean {
  return expect.connections !== undefined && !argv.some((word) => /^-\w*R/.test(word));
}

/** Why this process cannot run the case, or false. */
export function cannotRun({ needs }: TcpserverCase): string | false {
  const isRoot = process.getuid?.() === 0;
  const rootOnly = needs.filter((need) => need === 'root' || need.startsWith('bind-'));
  return !isRoot && rootOnly.length > 0 ? `${rootOnly.join(', ')}: only root may` : false;
}

/** Runs a case. @param dnsHost a local address whose port 53 no other case uses at the same time */
export async function runTcpserverCase(
  vector: TcpserverCase,
  { program, dnsHost }: { program: string; dnsHost: string },
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tcpserver-'));
  const dns = vector.dns ? await startFakeDns({ host: dnsHost, port: 53, zone: vector.dns }) : undefined;
  const busy = createServer().listen(0, '127.0.0.1');
  await once(busy, 'listening');
  const busyPort = String((busy.address() as { port: number }).port);
  try {
    for (const [name, content] of Object.entries(vector.files ?? {})) {
      writeFileSync(join(folder, name), content, 'latin1');
    }
    if (vector.rules !== undefined) compileRules(folder, vector.rules);
    const server = startTcpserver({
      program,
      args: vector.argv.map((word) => word.replace('@BUSYPORT@', busyPort)),
      env: { PATH: '/usr/bin:/bin', DNSCACHEIP: dnsHost, ...vector.env },
      folder,
    });
    try {
      if (vector.expect.connections === undefined) await compareStart(vector, server);
      else await compareRun(vector, { server, folder });
    } finally {
      await server.stop();
    }
  } finally {
    await dns?.stop();
    busy.close();
    rmSync(folder, { recursive: true });
  }
}

function compileRules(folder: string, rules: string): void {
  const { status, stderr } = spawnSync(join(ROOT, 'bin/tcprules'), ['rules.cdb', 'rules.tmp'], {
    cwd: folder,
    input: Buffer.from(rules, 'latin1'),
  });
  assert.equal(status, 0, String(stderr));
}

async function compareStart({ expect }: TcpserverCase, server: TcpserverProcess): Promise<void> {
  const exit = await server.ended;
  assert.deepEqual([exit, server.output(), server.log()], [expect.exit, expect.stdout, expect.stderr]);
}

async function compareRun(
  vector: TcpserverCase,
  { server, folder }: { server: TcpserverProcess; folder: string },
): Promise<void> {
  const { expect, overlap } = vector;
  const port = await server.port();
  // The original prints it after the port, and may be ended in between.
  if (expect.stderr.startsWith('tcpserver: status: ')) await server.logged(/ status: /g, 1);
  const ident = vector.ident && (await startIdent(vector.ident, port));
  const clients: TcpClient[] = [];
  const received: string[] = [];
  const isLogged = expect.stderr.includes(' end ');
  const finish = async (index: number) => {
    received[index] = await clients[index]!.finish();
    if (isLogged) await server.logged(/ end .*\n.*\n/g, index + 1);
  };
  for (const [index, { from, to, send, rules_before }] of expect.connections!.entries()) {
    if (rules_before !== undefined) compileRules(folder, rules_before);
    clients.push(await connectClient({ from, to, port }, send));
    if (overlap !== true) await finish(index);
    else await server.logged(/ (?:ok|deny) /g, index + 1);
  }
  if (overlap === true) for (const index of clients.keys()) await finish(index);
  assert.equal(await server.stop(), expect.exit_after_sigterm);
  await ident?.stop();
  const fill = (text: string) =>
    text
      .replaceAll('@LPORT@', String(port))
      .replaceAll(/@RPORT(\d+)@/g, (_, number) => String(clients[number - 1]!.port));
  assert.equal(server.output(), fill(expect.stdout));
  compareLog(server.log(), fill(expect.stderr));
  for (const [index, connection] of expect.connections!.entries()) {
    compareReceived(received[index]!, connection, fill);
  }
  if (expect.ident_queries) assert.deepEqual(ident?.queries, expect.ident_queries.map(fill));
}

/** Process ids are whatever the server says, the same in all lines of a connection and different for each. */
function compareLog(actual: string, expected: string): void {
  const pids = [...actual.matchAll(/ pid (\d+) from /g)].map(([, pid]) => pid!);
  assert.equal(new Set(pids).size, pids.length);
  const filled = expected.replaceAll(/@PID(\d+)@/g, (whole, number) => pids[number - 1] ?? whole);
  assert.equal(actual, filled);
}

function compareReceived(
  received: string,
  { child_env, banner_received = '', received: wanted }: ConnectionCase,
  fill: (text: string) => string,
): void {
  if (child_env === undefined) {
    assert.equal(received, fill(wanted ?? ''));
    return;
  }
  assert.equal(received.slice(0, banner_received.length), banner_received);
  const variables = received.slice(banner_received.length).split('\0').slice(0, -1);
  const shown = variables.filter((variable) => !/^(?:PATH|DNSCACHEIP)=/.test(variable));
  const expected = Object.entries(child_env).map(([name, value]) => `${name}=${fill(value)}`);
  assert.deepEqual(shown.sort(), expected.sort());
}

async function startIdent({ ip, response }: IdentCase, serverPort: number) {
  const queries: string[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (bytes: Buffer) => {
      const query = bytes.toString('latin1');
      queries.push(query);
      const remotePort = /^\d+/.exec(query)?.[0] ?? '';
      const filled = response.replace('@RPORT@', remotePort).replace('@LPORT@', String(serverPort));
      socket.end(filled, 'latin1');
    });
  });
  server.listen(113, ip);
  await once(server, 'listening');
  return {
    queries,
    async stop() {
      server.close();
      await once(server, 'close');
    },
  };
}
