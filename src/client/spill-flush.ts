// Sends the messages that a client has kept, one after the other in the order of their arrival. Invariants: a message is
// removed only after a server has said that it has it; before it is given to one its name says so, so that whoever comes
// after a flush that was stopped there knows that a server may have it; and a message goes as the same bytes each time.
// No server to be reached ends it at once; one that puts messages off is not asked for more than a few.

import type { QueueEnvelope } from '../core/format/queue-envelope.ts';
import { compareSpilled } from '../core/format/spill-name.ts';
import { outcomeOfQueueResult, QUEUE_EXIT } from '../core/policy/outcome.ts';
import { errorCode, reasonOf } from '../host/system-error.ts';
import type { SpillFolder } from './spill-folder.ts';
import { pathOf, readWaiting, remove, rename, type Waiting } from './spilled-files.ts';

/** How an attempt ended. */
export interface SubmitEnd {
  /** Exit code of a queue program. */
  readonly exit: number;
  /** Whether a server may have the message although the exit code is a temporary failure. */
  readonly isUnknown: boolean;
}

/** What is to be known of an attempt. */
export interface Attempt {
  /** The hub that may have the message, if one may: only its lines are right. */
  readonly hub: number | undefined;
  /** To be called before a server gets the first byte, with the number of its hub; false means that it must not. */
  readonly beforeRequest: (hub: number | undefined) => boolean;
}

/** What a flush works with. */
export interface FlushTools {
  /** Offers a message to the servers. */
  readonly submit: (message: Uint8Array, envelope: QueueEnvelope, attempt: Attempt) => Promise<SubmitEnd>;
  readonly nowMs: () => number;
  /** Says a line to people. */
  readonly tell: (line: string) => void;
  /** Bytes of a message that are taken into memory at most. */
  readonly bytesMax: number;
}

/** What became of the messages. */
export interface FlushResult {
  readonly sent: number;
  /** Refused for good by a server, or damaged: kept, and not tried again. */
  readonly refused: number;
  /** To be tried again. */
  readonly waiting: number;
}

/** What a hub remembers, unless its control/resubmissionwindow says otherwise. */
const WINDOW_SECONDS = 86_400;
/** Messages of one folder in a row that servers may put off. */
const PUT_OFF_MAX = 3;

/** What became of one message; `unreachable` if there is no use in trying others, `in trouble` if that is so in its folder. */
type End = 'sent' | 'refused' | 'put off' | 'unreachable' | 'gone' | 'kept' | 'in trouble';

/** Sends what there is to send. Never rejects, unless `submit` does. */
export async function flushSpilled(messages: readonly Waiting[], tools: FlushTools): Promise<FlushResult> {
  const todo = [...messages].sort((a, b) => compareSpilled(a.name, b.name));
  const counts = { sent: 0, refused: 0, gone: 0 };
  // By folder, so that what one user has kept cannot hold up the mail of others.
  const inRow = new Map<SpillFolder, number>();
  for (const message of todo) {
    const { folder } = message;
    const before = inRow.get(folder) ?? 0;
    if (before >= PUT_OFF_MAX) continue;
    const end = await sendOne(message, tools).catch((error: unknown): End => {
      tools.tell(`stopped in ${folder.path}: ${reasonOf(error)}`);
      return 'in trouble';
    });
    if (end === 'unreachable') break;
    if (end === 'put off') inRow.set(folder, before + 1);
    else if (end === 'in trouble') inRow.set(folder, PUT_OFF_MAX);
    else inRow.set(folder, 0);
    if (end === 'sent' || end === 'refused' || end === 'gone') counts[end]++;
  }
  const { sent, refused, gone } = counts;
  return { sent, refused, waiting: todo.length - sent - refused - gone };
}

async function sendOne(message: Waiting, tools: FlushTools): Promise<End> {
  const content = readWaiting(message, tools.bytesMax);
  if (content === 'gone') return 'gone';
  if (content === 'too large') {
    tools.tell(`${pathOf(message)} is larger than control/spillbytes, and waits until that is raised`);
    return 'kept';
  }
  if (content === 'damaged') {
    tools.tell(`${pathOf(message)} is damaged, and is kept there; look at it, and remove it`);
    return refuse(message, tools);
  }
  const { unknownSince } = message.name;
  const nowSeconds = Math.floor(tools.nowMs() / 1000);
  const unknownFor = unknownSince === undefined ? undefined : nowSeconds - unknownSince;
  const isForgotten = unknownFor !== undefined && unknownFor >= WINDOW_SECONDS;
  if (isForgotten) {
    tools.tell(`${pathOf(message)} may arrive twice: a server may have it since ${unknownFor} seconds ago`);
  }
  let underWay = message;
  let trouble: unknown;
  const beforeRequest = (hub: number | undefined) => {
    try {
      const since = isForgotten ? nowSeconds : (unknownSince ?? nowSeconds);
      underWay = rename(underWay, { ...underWay.name, unknownSince: since, hub });
    } catch (error) {
      trouble = error;
    }
    return trouble === undefined;
  };
  const hub = isForgotten ? undefined : message.name.hub;
  const end = await tools.submit(content.message, content.envelope, { hub, beforeRequest });
  // Its owner may have removed it.
  if (errorCode(trouble) === 'ENOENT') return 'gone';
  if (trouble !== undefined) throw trouble;
  return conclude(message, underWay, end, tools);
}

/** @param before the message as it was before the attempt @param message as it is now */
function conclude(before: Waiting, message: Waiting, { exit, isUnknown }: SubmitEnd, tools: FlushTools): End {
  const { letter, text } = outcomeOfQueueResult({ exit, writeFailed: false, pid: 0 });
  if (letter === 'K') {
    remove(message);
    return 'sent';
  }
  if (letter === 'D') {
    tools.tell(`${pathOf(message)} is refused for good, and is kept there: ${text}`);
    return refuse(message, tools);
  }
  const { unknownSince, hub } = isUnknown ? message.name : before.name;
  // A server that was reached may have something against this message only.
  const isPutOff = exit === QUEUE_EXIT.serverTemporary || exit === QUEUE_EXIT.connectionLost;
  const putOffAt = isPutOff ? Math.floor(tools.nowMs() / 1000) : message.name.putOffAt;
  rename(message, { ...message.name, unknownSince, hub, putOffAt });
  if (isPutOff) return 'put off';
  tools.tell(`stopped: ${text}`);
  return 'unreachable';
}

function refuse(message: Waiting, { nowMs }: FlushTools): End {
  rename(message, { ...message.name, refusedAt: Math.floor(nowMs() / 1000) }, true);
  return 'refused';
}
