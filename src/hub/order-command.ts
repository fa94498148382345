// `mini-qmail queue` with an order, `show`, `cat` or `stats`: asks the running hub; when none runs, the queue
// is opened for that moment, and a bounce is sent when the hub starts.

import { existsSync, rmSync } from 'node:fs';
import { classifyRecipient } from '../core/policy/recipient.ts';
import { readDeliveryControls } from '../delivery/delivery-controls.ts';
import { SYSTEM_CLOCK } from '../host/clock.ts';
import { reasonOf } from '../host/system-error.ts';
import type { Queue } from '../queue/queue.ts';
import { callHub } from './admin-socket.ts';
import { routesPath } from './administration.ts';
import { type BouncedFiles, openBounced } from './bounced-files.ts';
import { type BouncedJson, bouncedForPeople, toBouncedLine } from './bounced-json.ts';
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
import { type QueuedMessageJson, shown, toJsonLine } from './queued-message-json.ts';
import { type HubStats, readStats } from './stats.ts';

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
  const bounced = openBounced(home, SYSTEM_CLOCK);
  const controls = order.action === 'resend' ? readDeliveryControls(home) : undefined;
  const operator = new Operator({
    ...{ queue, clock: SYSTEM_CLOCK, log, events, bounced },
    // What has ended is found by the hub when it starts.
    finish: () => undefined,
    classify: (address) => classifyRecipient(address, controls!),
  });
  // What goes by the routes again is grouped by domain here; the hub does it anew.
  if (order.action === 'reroute') rmSync(routesPath(home), { force: true });
  const summary = await operator.carryOut(order, (...result) => take(formatOrderResult(...result)));
  await Promise.all([close(), bounced.close()]);
  take(formatOrderSummary(summary));
}

/** Prints one message of the queue. @returns the exit code */
export function runShow({ home, json }: CommandPlace, id: number): Promise<number> {
  return run('queue show', () =>
    printOne(home, id, '', {
      fromHub(text) {
        const message: QueuedMessageJson | BouncedJson = JSON.parse(Buffer.from(text).toString());
        printOut(json ? text : 'bounced' in message ? bouncedForPeople(message) : forPeople(message));
      },
      async fromStore(queue, bounced) {
        const message = await queue.find(id);
        if (message !== undefined) return Buffer.from(toJsonLine(message));
        const kept = await bounced.find(id);
        return kept && Buffer.from(toBouncedLine(kept));
      },
    }),
  );
}

/** Prints the bytes of a message in the queue. @returns the exit code */
export function runCat(home: string, id: number): Promise<number> {
  return run('queue cat', () =>
    printOne(home, id, '/message', {
      fromHub: printOut,
      async fromStore(queue, bounced) {
        if ((await queue.find(id)) !== undefined) return queue.read(id);
        return (await bounced.find(id)) && bounced.read(id);
      },
    }),
  );
}

/** From the queue, or from what has bounced and is kept. */
async function printOne(
  home: string,
  id: number,
  part: '' | '/message',
  { fromHub, fromStore }: { fromHub: Print; fromStore: FromStore },
): Promise<number> {
  const pieces: Uint8Array[] = [];
  const onBytes = (bytes: Uint8Array) => void pieces.push(bytes);
  let status = await callHub(home, { path: `/queue/${id}${part}`, onBytes });
  if (status === 404) status = await callHub(home, { path: `/bounced/${id}${part}`, onBytes });
  let found = status === 200 ? Buffer.concat(pieces) : undefined;
  if (status === undefined) {
    await withStore(home, async (queue, bounced) => {
      const bytes = await fromStore(queue, bounced);
      found = bytes && Buffer.from(bytes);
    });
  }
  if (found === undefined)
    throw new Error(`Cannot find message ${id} in the queue of ${home}, nor among what has bounced`);
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
      await withStore(home, async (queue, bounced) => {
        text = `${JSON.stringify(await readStats({ queue, bounced, clock: SYSTEM_CLOCK }))}\n`;
      });
    }
    printOut(json ? text : formatStats(JSON.parse(text)));
    return 0;
  });
}

function formatStats({ messages, resubmissions, recipients, gauges, counters }: HubStats): string {
  const { atStart, accepted, delivered, failed, removed, queued } = recipients;
  const rows: [string, number][] = [
    ['messages in the queue', messages],
    ['messages held', gauges.held],
    ['age of the oldest, seconds', gauges.oldestSeconds],
    ['deliveries under way', gauges.deliveringLocal + gauges.deliveringRemote],
    ['bounced messages kept', gauges.bounced],
    ['messages submitted again and recognised', resubmissions],
    ['messages refused for now', counters.refusedTemporary],
    ['messages refused for good', counters.refusedPermanent],
    ['attempts deferred', counters.deferred],
    ['messages bounced', counters.bounced],
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

type FromStore = (queue: Queue, bounced: BouncedFiles) => Promise<Uint8Array | undefined>;

async function withStore(
  home: string,
  action: (queue: Queue, bounced: BouncedFiles) => Promise<void>,
): Promise<void> {
  const folder = `${home}/queue`;
  if (!existsSync(folder))
    throw new Error(`Cannot read the queue of ${home}: there is no folder queue in it`);
  const queue = await openStore(home, SYSTEM_CLOCK);
  const bounced = openBounced(home, SYSTEM_CLOCK);
  try {
    await action(queue, bounced);
  } finally {
    await bounced.close();
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
  reroute: 'sent another way',
  resend: 'queued anew',
};

/** What one line says to people; nothing about messages that just did as ordered. */
function formatResult({ action }: Order, result: OrderResultJson | OrderSummaryJson): string {
  if ('summary' in result) {
    const { done, waiting, ended, trouble, selected } = result.summary;
    const parts = selected > 0 ? [`${selected} selected`] : [`${done} ${WORDS[action]}`];
    const until = action === 'reroute' ? '' : ', held until then';
    if (waiting > 0) parts.push(`${waiting} when the delivery under way has ended${until}`);
    if (ended > 0) parts.push(`${ended} had ended already`);
    if (trouble > 0) parts.push(`${trouble} in trouble`);
    return `${parts.join(', ')}\n`;
  }
  const { id, sender, delivered, left, reason, resentAs } = result;
  const as = resentAs === undefined ? '' : ` as #${resentAs}`;
  const what = result.result === 'done' ? WORDS[action] + as : result.result;
  const done = delivered.length > 0 ? `; delivered before to ${delivered.map(shown).join(', ')}` : '';
  const why = reason === undefined ? '' : `: ${shown(reason)}`;
  return `#${id}  <${shown(sender)}>  ${left.length} left  ${what}${why}${done}\n`;
}
