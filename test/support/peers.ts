// Programs of other people that interoperability tests talk to. Where one is not installed its tests are skipped and
// say so, unless MINI_QMAIL_REQUIRE_PEERS=1 asks that they fail.

import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { connect, createServer } from 'node:net';
import { delimiter, join } from 'node:path';

const SYSTEM_FOLDERS = ['/usr/sbin', '/usr/lib/postfix/sbin', '/usr/lib/git-core', '/usr/local/bin'];

/** Path of a program, or undefined if it is not installed. */
export function findPeer(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...SYSTEM_FOLDERS];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Why a test that needs these programs is skipped, or false. @throws Error where skipping is not wanted */
export function missingPeers(...names: string[]): string | false {
  return skipUnless(
    names.filter((name) => findPeer(name) === undefined).map((name) => `${name} is not installed`),
  );
}

/** Why a test is skipped: the obstacles, or false if there are none. @throws Error where skipping is not wanted */
export function skipUnless(obstacles: readonly string[]): string | false {
  if (obstacles.length === 0) return false;
  const reason = obstacles.join('; ');
  if (process.env['MINI_QMAIL_REQUIRE_PEERS'] === '1') throw new Error(`Cannot test: ${reason}`);
  return reason;
}

/** Runs one to its end. @returns exit code, and what it printed */
export async function runPeer(
  name: string,
  args: readonly string[],
): Promise<[exit: number | null, printed: string]> {
  const peer = spawn(findPeer(name) ?? '', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  for (const stream of [peer.stdout, peer.stderr])
    stream.setEncoding('latin1').on('data', (text: string) => {
      printed += text;
    });
  const exit = await new Promise<number | null>((resolve) => peer.on('close', resolve));
  return [exit, printed];
}

/** A port of that address that was free a moment ago, for programs that cannot choose one themselves. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen({ host, port: 0 }, resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Resolves when somebody accepts connections there; the caller's time limit is the only one. */
export async function accepting(port: number, host = '127.0.0.1'): Promise<void> {
  while (!(await isAccepting(port, host))) await new Promise(setImmediate);
}

/** Whether somebody accepts connections there. */
export function isAccepting(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host });
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
