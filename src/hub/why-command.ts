// `mini-qmail why`: what happened to a message, from the kept events and from the queue.

import { SYSTEM_CLOCK } from '../host/clock.ts';
import { reasonOf } from '../host/system-error.ts';
import { callHub } from './admin-socket.ts';
import { openBounced } from './bounced-files.ts';
import { eventFolder } from './event-files.ts';
import { findEventsOf, findMessagesOf, type KeptEvent } from './event-search.ts';
import { openStore } from './open-store.ts';
import type { Order } from './operator.ts';
import { type QueuedMessageJson, shown, toJsonLine } from './queued-message-json.ts';

/** The environment is in the way, or nothing is known. */
const EXIT_TEMPORARY = 111;
/** Of many messages the last ones are told. */
const MESSAGES_MAX = 20;

/** A message in the queue; `gone` if it is not there, `kept` if it has bounced and is kept, undefined if that is not known. */
type QueueState = QueuedMessageJson | 'gone' | 'kept' | undefined;

/** Prints what happened to the message of that number, or those of an address or Message-ID. @returns the exit code */
export async function runWhy(home: string, word: string, json: boolean): Promise<number> {
  try {
    const isNumber = /^\d+$/.test(word);
    const all = isNumber ? [Number(word)] : await findMessages(home, word);
    const ids = all.slice(-MESSAGES_MAX);
    const events = await findEventsOf(eventFolder(home), ids);
    const states = await readQueueStates(home, ids);
    let found = 0;
    for (const id of ids) {
      const own = events.filter((event) => event.id === id || event['bounceId'] === id);
      const state = states.get(id);
      if (own.length === 0 && typeof state !== 'object') continue;
      found++;
      process.stdout.write(json ? toJson(id, own, state) : tell(id, own, state));
    }
    if (found === 0) throw new Error(`Nothing is known of ${shown(word)} in ${home}`);
    if (ids.length < all.length)
      process.stderr.write(`mini-qmail why: ${all.length - ids.length} older messages are not shown\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`mini-qmail why: fatal: ${reasonOf(error)}\n`);
    return EXIT_TEMPORARY;
  }
}

/** From the events, and from the queue what has not been tried yet. */
async function findMessages(home: string, word: string): Promise<number[]> {
  const ids = new Set(await findMessagesOf(eventFolder(home), word));
  const recipient = word.includes('@') ? word : `${word}@`;
  const order: Order = { action: 'hold', selection: { recipient }, dryRun: true };
  let text = '';
  const onBytes = (bytes: Uint8Array) => {
    text += Buffer.from(bytes).toString('latin1');
  };
  await callHub(home, { path: '/orders', body: JSON.stringify(order), onBytes });
  for (const [, id] of text.matchAll(/^\{"id":(\d+),/gm)) ids.add(Number(id));
  return [...ids].sort((a, b) => a - b);
}

/** Asks the hub, or looks itself when none runs. */
async function readQueueStates(home: string, ids: readonly number[]): Promise<Map<number, QueueState>> {
  const states = new Map<number, QueueState>();
  for (const id of ids) {
    let text = '';
    const onBytes = (bytes: Uint8Array) => {
      text += Buffer.from(bytes).toString('latin1');
    };
    const status = await callHub(home, { path: `/queue/${id}`, onBytes });
    if (status === undefined) return readStore(home, ids);
    if (status === 200) states.set(id, JSON.parse(Buffer.from(text, 'latin1').toString()));
    else states.set(id, (await callHub(home, { path: `/bounced/${id}`, onBytes })) === 200 ? 'kept' : 'gone');
  }
  return states;
}

async function readStore(home: string, ids: readonly number[]): Promise<Map<number, QueueState>> {
  const states = new Map<number, QueueState>();
  try {
    const queue = await openStore(home, SYSTEM_CLOCK);
    const bounced = openBounced(home, SYSTEM_CLOCK);
    for (const id of ids) {
      const message = await queue.find(id);
      if (message !== undefined) states.set(id, JSON.parse(toJsonLine(message)));
      else states.set(id, (await bounced.find(id)) === undefined ? 'gone' : 'kept');
    }
    await bounced.close();
    await queue.close();
  } catch {
    // What is known from the events is told all the same.
  }
  return states;
}

function toJson(id: number, events: readonly KeptEvent[], state: QueueState): string {
  const queue = typeof state === 'string' ? null : state;
  return `${JSON.stringify({ id, events, ...(queue !== undefined && { queue }) })}\n`;
}

function tell(id: number, events: readonly KeptEvent[], state: QueueState): string {
  const lines = events.map((event) => `  ${event.time}  ${describe(id, event)}\n`);
  const kept = `bounced, and kept: mini-qmail queue resend ${id} sends it again`;
  return `message ${id}\n${lines.join('')}  ${state === 'kept' ? kept : describeState(state)}\n`;
}

function describe(id: number, facts: KeptEvent): string {
  const text = (name: string) => shown(String(facts[name] ?? ''));
  switch (facts.event) {
    case 'accepted':
    case 'qmqp.resubmission': {
      const what = facts.event === 'accepted' ? 'accepted' : 'sent again, recognised, not queued again;';
      const user = facts['uid'] === undefined ? '' : `, user ${text('uid')}`;
      const messageId = facts['messageId'] === undefined ? '' : `, Message-ID ${text('messageId')}`;
      const counts = `${text('recipients')} recipients, ${text('bytes')} bytes`;
      const by = facts['protocol'] === undefined ? '' : ` by ${text('protocol')}`;
      const identity = facts['identity'] === undefined ? '' : `, known as ${text('identity')}`;
      const tls = facts['tls'] === undefined ? '' : ` (${text('tls')})`;
      return `${what} from ${text('ip')}${tls}${by}${identity}${user}, sender <${text('sender')}>, ${counts}${messageId}`;
    }
    case 'delivery.success':
    case 'delivery.failure':
    case 'delivery.deferral':
      return describeAttempt(facts, text);
    case 'notice':
      if (facts['bounceId'] === id) return `queued as a notice about message ${facts.id}`;
      return `<${text('recipient')}> ${text('kind')}, as its sender is told in message ${text('bounceId')}`;
    case 'bounce.unwanted':
      return `not returned for ${text('recipients')} recipients, as its sender had asked`;
    case 'bounce':
      if (facts['bounceId'] === id) return `queued as the notice about message ${facts.id}`;
      return facts['bounceId'] === undefined
        ? 'its notice could not be delivered either: discarded'
        : `returned to <${text('recipient')}>, in message ${text('bounceId')}`;
    case 'resent':
      return `queued anew by an operator, of message ${text('of')} that had bounced; sender <${text('sender')}>, ${text('recipients')} recipients, ${text('bytes')} bytes`;
    case 'operator': {
      const to = facts['to'] === undefined ? '' : ` to ${text('to')}`;
      const as = facts['resentAs'] === undefined ? '' : `, in message ${text('resentAs')}`;
      return `operator: ${text('action')}${to}, ${text('result')}${as} ${text('text')}`.trimEnd();
    }
    default:
      return `${shown(facts.event)} ${text('what')} ${text('text')}${text('reason')}`;
  }
}

const WORDS: Readonly<Record<string, string>> = {
  'delivery.success': 'delivered to',
  'delivery.failure': 'failed for good for',
  'delivery.deferral': 'failed for now for',
};

function describeAttempt(facts: KeptEvent, text: (name: string) => string): string {
  const tls = facts['tls'] === undefined ? 'in clear' : text('tls');
  const host = facts['host'] === undefined ? '' : `, by ${text('host')} (${tls})`;
  const unknown = facts['unknown'] === undefined ? '' : '; outcome unknown: it may arrive twice';
  const next = facts['next'] === undefined ? '' : `; next attempt ${text('next')}`;
  const words = text('text') === '' ? '' : `: ${text('text')}`;
  return `${WORDS[facts.event]} <${text('recipient')}>${host}${words}${unknown}${next}`;
}

function describeState(state: Exclude<QueueState, 'kept'>): string {
  if (state === undefined) return 'whether it is in the queue cannot be seen now';
  if (state === 'gone') return 'not in the queue any more';
  const left = state.recipients.filter((recipient) => recipient.state === 'todo');
  if (left.length === 0) return 'in the queue: its notice is on its way';
  const times = Object.values(state.nextAttempt).sort();
  const next = state.held === true ? 'held by an operator' : `next attempt ${times[0] ?? 'under way'}`;
  const names = left.slice(0, 5).map(({ address }) => `<${shown(address)}>`);
  const more = left.length > names.length ? ` and ${left.length - names.length} more` : '';
  return `in the queue, left: ${names.join(', ')}${more}; ${next}`;
}
