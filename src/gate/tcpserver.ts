// tcpserver: accepts TCP connections and runs a program for each. Everything up to the first connection is here, in the
// order of the original, because a failure is told by how far it came; what happens to a connection is in
// serve-connection.ts. Source: the tcpserver page of cr.yp.to/ucspi-tcp.

import { closeSync, openSync } from 'node:fs';
import type { AddressInfo, Server } from 'node:net';
import { parseShortOptions } from '../core/format/short-options.ts';
import { complain, writeBlocking } from '../host/blocking-io.ts';
import { SYSTEM_CLOCK } from '../host/clock.ts';
import { createDnsClient, readDnsServers } from '../host/dns-client.ts';
import { errorText } from '../host/error-text.ts';
import { glance } from '../host/glance.ts';
import { ownProgramAt } from '../host/invocation.ts';
import type { ProgramCall } from '../host/program-call.ts';
import type { Environment } from '../host/raw-arguments.ts';
import { Connections } from './connections.ts';
import { findProgram } from './find-program.ts';
import { listenFailure, passedSocket, resolveHost, resolvePort, StartFailure } from './listen.ts';
import { createOwnSessions } from './own-session.ts';
import { openRulesFile } from './rules-file.ts';
import { serveConnection } from './serve-connection.ts';
import { readTcpserverOptions, type TcpserverOptions, type Verbosity } from './tcpserver-options.ts';

const GRAMMAR = { plain: '1UXpPhHrRoOdDqQv', withArgument: 'cxBgublt', withRest: '' };
const USAGE =
  'tcpserver: usage: tcpserver [ -1UXpPhHrRoOdDqQv ] [ -c limit ] [ -x rules.cdb ] [ -B banner ] [ -g gid ] [ -u uid ] [ -b backlog ] [ -l localname ] [ -t timeout ] host port program\n';
const EXIT_STOPPED = 0;
const EXIT_USAGE = 100;
const EXIT_FAILED = 111;

/** Serves until SIGTERM; resolves with the exit code. */
export async function runTcpserver({ args, env, calledAs, ownBin }: ProgramCall): Promise<number> {
  const parsed = parseShortOptions(args, GRAMMAR);
  if (parsed.problem !== undefined) {
    complain(`${calledAs}: ${parsed.problem}\n`);
    complain(USAGE);
    return EXIT_USAGE;
  }
  const options = readTcpserverOptions(parsed, env);
  const print = (verbosity: Verbosity, line: string | Uint8Array) => {
    if (options.verbosity >= verbosity) complain(line);
  };
  try {
    const listening = await start(options, env);
    if (listening === undefined) {
      print(1, USAGE);
      return EXIT_USAGE;
    }
    await serve(listening, { options, env, ownBin, print });
    return EXIT_STOPPED;
  } catch (error) {
    if (!(error instanceof StartFailure)) throw error;
    print(1, `tcpserver: fatal: ${error.message}\n`);
    return EXIT_FAILED;
  }
}

interface Listening {
  readonly server: Server;
  /** Resolves at the first SIGTERM. */
  readonly stopped: Promise<void>;
}

/** Listens, gives up rights and says the port; undefined if an operand is missing. @throws StartFailure */
async function start(options: TcpserverOptions, env: Environment): Promise<Listening | undefined> {
  const { host, port, program } = options;
  if (host === undefined || port === undefined) return undefined;
  const portNumber = resolvePort(port);
  if (program.length === 0) return undefined;
  const server = process.getBuiltinModule('node:net').createServer({
    pauseOnConnect: true,
    allowHalfOpen: true,
    noDelay: options.noDelay,
  });
  const passed = passedSocket(env);
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) env.remove(name);
  const address =
    passed === undefined
      ? { host: await resolveHost(host, askDnsOf(env), env), port: portNumber }
      : { fd: passed };
  // A queue of no length means the default to Node.
  const backlog = Math.min(Math.max(options.backlog, 1), 2 ** 31 - 1);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenFailure(error)));
    server.listen({ ...address, backlog, exclusive: true }, resolve);
  });
  giveUpRights(options);
  const stopped = new Promise<void>((resolve) => process.once('SIGTERM', () => resolve()));
  if (options.printPort) writeBlocking(1, Buffer.from(`${portOf(server)}\n`));
  closeInputAndOutput();
  return { server, stopped };
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

function askDnsOf(env: Environment) {
  return createDnsClient({ servers: readDnsServers(env.get('DNSCACHEIP')), clock: SYSTEM_CLOCK });
}

/** @throws StartFailure */
function giveUpRights({ gid, uid }: TcpserverOptions): void {
  try {
    if (gid !== 0) {
      process.setgroups?.([gid]);
      process.setgid?.(gid);
    }
  } catch (error) {
    throw new StartFailure(`unable to set gid: ${errorText(error)}`);
  }
  try {
    if (uid !== 0) process.setuid?.(uid);
  } catch (error) {
    throw new StartFailure(`unable to set uid: ${errorText(error)}`);
  }
}

/** Lets go of descriptors 0 and 1; something else has to have their numbers, or a connection would. */
function closeInputAndOutput(): void {
  for (const descriptor of [0, 1]) {
    closeSync(descriptor);
    openSync('/dev/null', descriptor === 0 ? 'r' : 'w');
  }
}

/** How long connections that this process serves may take to end after SIGTERM. */
const STOP_MS = 10_000;

interface ServeOptions {
  readonly options: TcpserverOptions;
  readonly env: Environment;
  readonly ownBin: string;
  readonly print: (verbosity: Verbosity, line: string | Uint8Array) => void;
}

/** Serves connections until SIGTERM. Children go on after that; what this process serves itself has some time to end. */
async function serve(
  { server, stopped }: Listening,
  { options, env, ownBin, print }: ServeOptions,
): Promise<void> {
  const sessionOf = createOwnSessions({
    clock: SYSTEM_CLOCK,
    complain: (text) => print(1, `tcpserver: warning: ${text}\n`),
  });
  const findOwnSession = () => {
    const found = findProgram(String(Buffer.from(options.program[0]!)), env.strings['PATH']);
    return 'path' in found ? sessionOf(ownProgramAt(found.path, ownBin)) : undefined;
  };
  const services = {
    options,
    env,
    print,
    localPort: portOf(server),
    findVerdict: options.rules && openRulesFile(options.rules, options.mayLackRules),
    // The list of servers may change while we run.
    askDns: (...question: Parameters<ReturnType<typeof askDnsOf>>) => askDnsOf(env)(...question),
    clock: SYSTEM_CLOCK,
    ownBin,
    // Somebody may put another program in the place of ours.
    ownSession: mustFork(env) ? () => undefined : glance(SYSTEM_CLOCK, findOwnSession),
  };
  const onCount = (count: number) => print(2, `tcpserver: status: ${count}/${options.limit}\n`);
  const connections = new Connections({
    limit: options.limit,
    onCount,
    serve: (socket, ends, onChild) => serveConnection(socket, ends, services, onChild),
  });
  // One connection's bug is no reason to stop the others.
  process.on('uncaughtException', (error) =>
    print(1, `tcpserver: warning: internal bug: ${String(error)}\n`),
  );
  onCount(0);
  server.on('connection', (socket) => connections.add(socket));
  await stopped;
  server.close();
  await Promise.race([
    connections.close(),
    new Promise((resolve) => process.once('SIGTERM', resolve)),
    new Promise<void>((resolve) => SYSTEM_CLOCK.after(STOP_MS, resolve)),
  ]);
}

/** Whether our own programs are started for each connection like others. */
function mustFork(env: Environment): boolean {
  return (env.get('TCPSERVERFORK')?.length ?? 0) > 0;
}
