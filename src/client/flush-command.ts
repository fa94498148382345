// mini-qmail flush: sends, or lists, what clients of this host have kept while no server took mail. One process at a time works
// on a user's folder. A user sees and sends what is their own, root everything.

import { formatQueueEnvelope } from '../core/format/queue-envelope.ts';
import type { ServerAddress } from '../core/format/server-list.ts';
import { compareSpilled } from '../core/format/spill-name.ts';
import { formatSpillReport } from '../core/format/spill-report.ts';
import { outcomeOfQueueResult, QUEUE_EXIT } from '../core/policy/outcome.ts';
import { complain } from '../host/blocking-io.ts';
import { tryLockFile } from '../host/file-lock.ts';
import { type JsonBytes, jsonBytes } from '../host/json-bytes.ts';
import { Environment } from '../host/raw-arguments.ts';
import { reasonOf } from '../host/system-error.ts';
import { openHistory, readQmqpServers, submitByQmqp } from './qmqp-submit.ts';
import { isRecognised } from './qmqp-submit-again.ts';
import { type FlushResult, flushSpilled } from './spill-flush.ts';
import {
  listSpilled,
  listSpillUsers,
  openSpillFolder,
  ownUid,
  readSpillSettings,
  type SpillFolder,
} from './spill-folder.ts';
import { hubNumber } from './spill-hub.ts';
import { ageOf, pathOf, readWaiting, removeAbandoned, type Waiting } from './spilled-files.ts';

/** What the command is given. */
export interface FlushCommand {
  readonly home: string;
  readonly json: boolean;
  /** Show what waits, and send nothing. */
  readonly list: boolean;
  /** Send also what was refused for good. */
  readonly refused: boolean;
}

/** A message as `--list --json` prints it. */
export interface WaitingJson {
  readonly path: string;
  readonly uid: number;
  readonly state: 'waiting' | 'unknown' | 'refused' | 'damaged';
  /** Seconds since it came. */
  readonly age: number;
  readonly bytes: number;
  readonly sender?: JsonBytes;
  readonly recipients?: readonly JsonBytes[];
}

const EXIT_REFUSED = 100;
const EXIT_TEMPORARY = 111;
const NO_ANSWER: readonly number[] = [QUEUE_EXIT.connectTimeout, QUEUE_EXIT.connectRefused];

/** Runs the command; returns its exit code: 0 nothing waits any more, 100 something was refused, 111 something waits. @throws SystemError */
export async function runFlush(command: FlushCommand): Promise<number> {
  const settings = readSpillSettings(command.home);
  if (settings === undefined) {
    tell('control/spilldir is not there: this host keeps no mail');
    return 0;
  }
  const folders = openFolders(settings.path);
  if (command.list) {
    for (const message of sorted(listWaiting(folders)))
      print(formatWaiting(message, settings.bytesMax, command.json));
    return 0;
  }
  for (const folder of folders) removeAbandoned(folder, Date.now());
  const locked = lockAll(new Set(listWaiting(folders).map(({ folder }) => folder)));
  const messages = listWaiting(locked).filter(({ name }) => command.refused || name.refusedAt === undefined);
  if (messages.length === 0) return 0;
  const result = await send(command.home, messages, settings.bytesMax);
  if (command.json) print(`${JSON.stringify(result)}\n`);
  else print(`sent ${result.sent}, refused ${result.refused}, waiting ${result.waiting}\n`);
  if (result.refused > 0) return EXIT_REFUSED;
  return result.waiting > 0 ? EXIT_TEMPORARY : 0;
}

/** Those of the folders that nobody else works on; says so if there are others. */
function lockAll(folders: ReadonlySet<SpillFolder>): SpillFolder[] {
  const env = new Environment(process.env);
  const locked = [...folders].filter(({ descriptor }) => tryLockFile(descriptor, env));
  if (locked.length < folders.size) tell('another flush is at work; left to it');
  return locked;
}

/** All messages of these folders; says which of them cannot be read. */
function listWaiting(folders: readonly SpillFolder[]): Waiting[] {
  return folders.flatMap((folder) => {
    try {
      return listSpilled(folder).map((name) => ({ folder, name }));
    } catch (error) {
      tell(reasonOf(error));
      return [];
    }
  });
}

/** The folders that this user may work on; says which of them cannot be trusted. */
function openFolders(path: string): SpillFolder[] {
  const own = ownUid();
  const users = own === 0 ? listSpillUsers(path) : [own];
  return users.flatMap((uid) => {
    try {
      return openSpillFolder(path, uid) ?? [];
    } catch (error) {
      // Nobody is to keep root from sending the mail of others.
      if (own !== 0) throw error;
      tell(reasonOf(error));
      return [];
    }
  });
}

async function send(home: string, messages: readonly Waiting[], bytesMax: number): Promise<FlushResult> {
  const servers = readQmqpServers({ home, env: process.env });
  if ('exit' in servers) {
    tell(`stopped: ${outcomeOfQueueResult({ exit: servers.exit, writeFailed: false, pid: 0 }).text}`);
    return { sent: 0, refused: 0, waiting: messages.length };
  }
  const all = servers.servers;
  const history = openHistory({ home, servers, env: process.env });
  const toServers = (lines: readonly ServerAddress[]) => ({ home, servers: { servers: lines }, ...history });
  const hubs = all.filter(({ hub }) => hub !== undefined);
  if (hubs.length > 0) {
    const envelope = formatQueueEnvelope(NOBODY);
    const { exit } = await submitByQmqp({ ...toServers(hubs), message: [reportOn(messages)], envelope });
    if (hubs.length === all.length && NO_ANSWER.includes(exit)) {
      tell('stopped: no hub can be reached');
      return { sent: 0, refused: 0, waiting: messages.length };
    }
  }
  return flushSpilled(messages, {
    async submit(message, envelope, { hub, beforeRequest }) {
      // Where nobody would recognise it, waiting for that hub would gain nothing.
      const isBound = hub !== undefined && (await isRecognised([message]));
      const lines = isBound ? all.filter((line) => hubNumber(line) === hub) : [];
      return submitByQmqp({
        ...toServers(lines.length > 0 ? lines : all),
        message: [message],
        envelope: formatQueueEnvelope(envelope),
        beforeRequest: (server) => beforeRequest(hubNumber(server)),
      });
    },
    nowMs: Date.now,
    tell,
    bytesMax,
  });
}

const NOBODY = { sender: new Uint8Array(0), recipients: [] };

function reportOn(messages: readonly Waiting[]): Uint8Array {
  const nowMs = Date.now();
  const oldest = Math.max(...messages.map((message) => ageOf(message, nowMs)));
  return formatSpillReport({ messages: messages.length, oldest });
}

function sorted(messages: readonly Waiting[]): Waiting[] {
  return [...messages].sort((a, b) => compareSpilled(a.name, b.name));
}

function formatWaiting(message: Waiting, bytesMax: number, json: boolean): string {
  const shown = describe(message, bytesMax);
  if (json) return `${JSON.stringify(shown)}\n`;
  const { path, state, age, bytes, sender, recipients = [] } = shown;
  const to = `${recipients.length} recipient${recipients.length === 1 ? '' : 's'}`;
  return `${path}: ${state}, ${age} s, ${bytes} bytes, from ${JSON.stringify(sender ?? '')}, ${to}\n`;
}

function describe(message: Waiting, bytesMax: number): WaitingJson {
  const { folder, name } = message;
  const content = readWaiting(message, bytesMax);
  const facts = { path: pathOf(message), uid: folder.uid, age: ageOf(message, Date.now()), bytes: name.size };
  if (content === 'damaged') return { ...facts, state: 'damaged' };
  const waiting = name.unknownSince === undefined ? 'waiting' : 'unknown';
  const state = name.refusedAt === undefined ? waiting : 'refused';
  if (typeof content === 'string') return { ...facts, state };
  const { sender, recipients } = content.envelope;
  return { ...facts, state, sender: jsonBytes(sender), recipients: recipients.map(jsonBytes) };
}

function tell(line: string): void {
  complain(Buffer.from(`mini-qmail flush: ${line}\n`));
}

function print(text: string): void {
  process.stdout.write(text);
}
