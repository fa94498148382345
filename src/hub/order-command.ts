// `mini-qmail queue hold`, `release`, `retry`, `rm`, `bounce`, `show`, `cat`, `stats`: asks the running hub; when none runs, the queue
// is opened for that moment, and a bounce is sent when the hub starts.

import { existsSync } from 'node:fs';
import { SYSTEM_CLOCK } from '../host/clock.ts';
import { reasonOf } from '../host/system-error.ts';
import type { Queue, QueueStats, Tally } from '../queue/queue.ts';
import { callHub } from './admin-socket.ts';
import { openHubEvents } from './event-files.ts';
import { openStore } from './open-store.ts';
import { Operator, type Order } from './operator.ts';
import {
  formatOrderResult,
  formatOrderSummary,
  type OrderResultJson,
  type OrderSummaryJson,
} from './order-json.ts';
import { forPeople } from './queue-command.ts';
import { shown, toJsonLine } from './queued-message-json.ts';

/** The environment is in the way, or the message is not there. */
const EXIT_TEMPORARY = 111;
const SILENT = { write: () => undefined };

/** Where, and how to print. */
export interface CommandPlace {
  readonly home: string;
  readonly json: boolean;
}

type Print = (text: string | Uint8Array) => void;
const printOut: Print = (text) => void process.stdout.write(text);

/** Carries out an order and prints what became of each message. @returns the exit code */
export function runOrder({ home, json }: CommandPlace, order: Order): Promise<number> {
  return run(`queue ${order.action}`, async () => {
    let troubles = 0;
    const takeLine = createLineTaker((line) => {
      const result: OrderResultJson | OrderSummaryJson = JSON.parse(line);
      if ('summary' in result) troubles = result.summary.trouble;
      printOut(json ? line : formatResult(order, result));
    });
    const decoder = new TextDecoder();
    const onBytes = (bytes: Uint8Array) => takeLine(decoder.decode(bytes, { stream: true }));
    const status = await callHub(home, { path: '/orders', body: JSON.stringify(order), onBytes });
    if (status === undefined)
      await withStore(home, (queue) => carryOutHere({ home, queue }, order, takeLine));
    else if (status !== 200)
      throw new Error(`Cannot give the order: the hub of ${home} does not understand it`);
    return troubles === 0 ? 0 : EXIT_TEMPORARY;
  });
}

async function carryOutHere(
  { home, queue }: { home: string; queue: Queue },
  order: Order,
  take: (line: string) => void,
): Promise<void> {
  const { log, events, close } = openHubEvents(home, SYSTEM_CLOCK, SILENT);
  // What has ended is found by the hub when it starts.
  const operator = new Operator({ queue, clock: SYSTEM_CLOCK, log, events, finish: () => undefined });
  const summary = await operator.carryOut(order, (...result) => take(formatOrderResult(...result)));
  await close();
  take(formatOrderSummary(summary));
}

/** Prints one message of the queue. @returns the exit code */
export function runShow({ home, json }: CommandPlace, id: number): Promise<number> {
  return run('queue show', () =>
    printOne(home, id, `/queue/${id}`, {
      fromHub: (text) => printOut(json ? text : forPeople(JSON.parse(Buffer.from(text).toString()))),
      async fromStore(queue) {
        const message = await queue.find(id);
        return message && Buffer.from(toJsonLine(message));
      },
    }),
  );
}

/** Prints the bytes of a message in the queue. @returns the exit code */
export function runCat(home: string, id: number): Promise<number> {
  return run('queue cat', () =>
    printOne(home, id, `/queue/${id}/message`, {
      fromHub: printOut,
      fromStore: async (queue) => ((await queue.find(id)) === undefined ? undefined : queue.read(id)),
    }),
  );
}

async function printOne(
  home: string,
  id: number,
  path: string,
  { fromHub, fromStore }: { fromHub: Print; fromStore: (queue: Queue) => Promise<Uint8Array | undefined> },
): Promise<number> {
  const pieces: Uint8Array[] = [];
  const status = await callHub(home, { path, onBytes: (bytes) => void pieces.push(bytes) });
  let found = status === 200 ? Buffer.concat(pieces) : undefined;
  if (status === undefined) {
    await withStore(home, async (queue) => {
      const bytes = await fromStore(queue);
      found = bytes && Buffer.from(bytes);
    });
  }
  if (found === undefined) throw new Error(`Cannot find message ${id} in the queue of ${home}`);
  fromHub(found);
  return 0;
}

/** Prints counters. @returns the exit code */
export function runStats({ home, json }: CommandPlace): Promise<number> {
  return run('queue stats', async () => {
    let text = '';
    const onBytes = (bytes: Uint8Array) => {
      text += Buffer.from(bytes).toString();
    };
    if ((await callHub(home, { path: '/stats', onBytes })) === undefined) {
      await withStore(home, async (queue) => {
        text = `${JSON.stringify({ ...queue.stats(), recipients: queue.tally() })}\n`;
      });
    }
    printOut(json ? text : formatStats(JSON.parse(text)));
    return 0;
  });
}

function formatStats({ messages, resubmissions, recipients }: QueueStats & { recipients: Tally }): string {
  const { atStart, accepted, delivered, failed, removed, queued } = recipients;
  const rows: [string, number][] = [
    ['messages in the queue', messages],
    ['messages submitted again and recognised', resubmissions],
    ['recipients when it was opened', atStart],
    ['recipients accepted since', accepted],
    ['recipients delivered', delivered],
    ['recipients failed', failed],
    ['recipients removed', removed],
    ['recipients in the queue', queued],
    ['recipients unaccounted for', atStart + accepted - delivered - failed - removed - queued],
  ];
  return rows.map(([name, value]) => `${name}: ${value}\n`).join('');
}

async function run(command: string, action: () => Promise<number>): Promise<number> {
  try {
    return await action();
  } catch (error) {
    process.stderr.write(`mini-qmail ${command}: fatal: ${reasonOf(error)}\n`);
    return EXIT_TEMPORARY;
  }
}

async function withStore(home: string, action: (queue: Queue) => Promise<void>): Promise<void> {
  const folder = `${home}/queue`;
  if (!existsSync(folder))
    throw new Error(`Cannot read the queue of ${home}: there is no folder queue in it`);
  const queue = await openStore(home, SYSTEM_CLOCK);
  try {
    await action(queue);
  } finally {
    await queue.close();
  }
}

function createLineTaker(onLine: (line: string) => void): (text: string) => void {
  let rest = '';
  return (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(`${line}\n`);
  };
}

const WORDS = {
  hold: 'held',
  release: 'released',
  retry: 'due now',
  rm: 'removed',
  bounce: 'returned to its sender',
};

/** What one line says to people; nothing about messages that just did as ordered. */
function formatResult({ action }: Order, result: OrderResultJson | OrderSummaryJson): string {
  if ('summary' in result) {
    const { done, waiting, ended, trouble, selected } = result.summary;
    const parts = selected > 0 ? [`${selected} selected`] : [`${done} ${WORDS[action]}`];
    if (waiting > 0) parts.push(`${waiting} when the delivery under way has ended, held until then`);
    if (ended > 0) parts.push(`${ended} had ended already`);
    if (trouble > 0) parts.push(`${trouble} in trouble`);
    return `${parts.join(', ')}\n`;
  }
  const { id, sender, delivered, left, reason } = result;
  const what = result.result === 'done' ? WORDS[action] : result.result;
  const done = delivered.length > 0 ? `; delivered before to ${delivered.map(shown).join(', ')}` : '';
  const why = reason === undefined ? '' : `: ${shown(reason)}`;
  return `#${id}  <${shown(sender)}>  ${left.length} left  ${what}${why}${done}\n`;
}
