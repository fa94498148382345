// The hub's log in the words of qmail-send, for programs that read those: qmailanalog, log watchers, eyes that are used to it.
// Made from the same events as the usual log. Events that qmail-send does not know come as in the usual log, troubles behind
// `warning: `. Source: the qmail-log manual page.
//
// A delivery may begin in the same turn of the event loop as its message is accepted, before that is told; events of one
// turn are therefore held until its end, and a message is announced before everything else about it.

import { createLineLog, type Facts, type Log } from '../host/log.ts';
import type { Channel } from '../queue/queue.ts';

interface Event {
  readonly name: string;
  readonly facts: Facts;
}

/** What the lines take from the system. */
export interface QmailLogSettings {
  /** Takes a line with its LF. */
  readonly writeLine: (line: string) => void;
  /** Stands for the user who queued a message, when that is not known: the hub's own. */
  readonly uid: number;
  /** Calls back at the end of the turn of the event loop. */
  readonly later: (callback: () => void) => void;
}

/** See the head of this file. */
export class QmailLog implements Log {
  readonly #settings: QmailLogSettings;
  readonly #other: Log;
  #waiting: Event[] = [];
  /** Numbers of the deliveries under way, by message, channel and recipient. */
  readonly #deliveries = new Map<string, number[]>();
  #nextDelivery = 1;
  readonly #running: Record<Channel, number> = { local: 0, remote: 0 };
  readonly #limits: Record<Channel, number> = { local: 0, remote: 0 };
  #isStopping = false;

  constructor(settings: QmailLogSettings) {
    this.#settings = settings;
    this.#other = createLineLog(settings.writeLine);
  }

  write(name: string, facts: Facts): void {
    if (this.#waiting.push({ name, facts }) === 1) this.#settings.later(() => this.flush());
  }

  /** Writes what waits. */
  flush(): void {
    const events = this.#waiting;
    this.#waiting = [];
    const announcements = new Map<unknown, Event>();
    for (const event of events) {
      const id = announcedBy(event);
      if (id !== undefined) announcements.set(id, event);
    }
    const printed = new Set<Event>();
    const print = (event: Event) => {
      if (printed.has(event)) return;
      printed.add(event);
      this.#print(event);
    };
    for (const event of events) {
      const first = announcements.get(event.facts['id']);
      if (first !== undefined && announcedBy(event) === undefined) print(first);
      print(event);
    }
  }

  #print({ name, facts }: Event): void {
    const { id } = facts;
    switch (name) {
      case 'delivery.limits':
        this.#limits.local = Number(facts['local']);
        this.#limits.remote = Number(facts['remote']);
        this.#printStatus();
        break;
      case 'accepted':
        this.#announce(facts, facts['pid'] ?? id);
        if (facts['recipients'] === 0) this.#line(`end msg ${id}`);
        break;
      case 'delivery.start':
        this.#start(facts);
        break;
      case 'delivery.success':
      case 'delivery.failure':
      case 'delivery.deferral':
        this.#end(facts, name.slice('delivery.'.length));
        break;
      case 'bounce':
        this.#bounce(facts);
        break;
      case 'notice':
        this.#other.write(name, facts);
        this.#announceNotice(facts, '');
        break;
      case 'message.end':
        this.#line(`end msg ${id}`);
        break;
      case 'hub.stopping':
        this.#isStopping = true;
        break;
      case 'hub.stopped':
        this.#line('status: exiting');
        break;
      default:
        this.#other.write(/(?:trouble|failed|remain)$/.test(name) ? `warning: ${name}` : name, facts);
    }
  }

  #announce(facts: Facts, pid: unknown): void {
    const { id, bytes, sender, uid = this.#settings.uid } = facts;
    this.#line(`new msg ${id}`);
    this.#line(`info msg ${id}: bytes ${bytes} from <${safe(sender)}> qp ${pid} uid ${uid}`);
  }

  #bounce(facts: Facts): void {
    const { id, bounceId, kind } = facts;
    if (bounceId === undefined) {
      this.#line(`triple bounce: discarding bounce/${id}`);
      return;
    }
    this.#line(`bounce msg ${id} qp ${bounceId}`);
    this.#announceNotice(facts, kind === 'double' ? '#@[]' : '');
  }

  /** Several messages or recipients may have one together, which comes with the first. */
  #announceNotice({ bounceId, bytes }: Facts, sender: string): void {
    if (bytes !== undefined) this.#announce({ id: bounceId, bytes, sender }, bounceId);
  }

  #start(facts: Facts): void {
    const { id, channel, recipient } = facts;
    const number = this.#nextDelivery++;
    const key = keyOf(facts);
    this.#deliveries.set(key, [...(this.#deliveries.get(key) ?? []), number]);
    this.#running[channel as Channel]++;
    this.#line(`starting delivery ${number}: msg ${id} to ${channel} ${safe(recipient)}`);
    this.#printStatus();
  }

  #end(facts: Facts, state: string): void {
    const key = keyOf(facts);
    if (!this.#deliveries.has(key)) this.#start(facts);
    const [number, ...others] = this.#deliveries.get(key)!;
    if (others.length > 0) this.#deliveries.set(key, others);
    else this.#deliveries.delete(key);
    this.#running[facts['channel'] as Channel]--;
    this.#line(`delivery ${number}: ${state}: ${safe(facts['text'])}`);
    this.#printStatus();
  }

  #printStatus(): void {
    const { local, remote } = this.#running;
    const end = this.#isStopping ? ' exitasap' : '';
    this.#line(`status: local ${local}/${this.#limits.local} remote ${remote}/${this.#limits.remote}${end}`);
  }

  #line(text: string): void {
    this.#settings.writeLine(`${text}\n`);
  }
}

/** The message that an event is the first word about. */
function announcedBy({ name, facts }: Event): unknown {
  if (name === 'accepted') return facts['id'];
  return facts['bytes'] === undefined ? undefined : facts['bounceId'];
}

function keyOf({ id, channel, recipient }: Facts): string {
  return `${id} ${channel} ${safe(recipient)}`;
}

/** As qmail-send shows bytes: LF as `/`; `%`, blanks and whatever is not printable ASCII as `_`. */
function safe(value: Facts[string]): string {
  const bytes = typeof value === 'object' ? value : Buffer.from(String(value ?? ''));
  let text = '';
  for (const byte of bytes) {
    const isPlain = byte > 32 && byte < 127 && byte !== 37;
    text += byte === 10 ? '/' : isPlain ? String.fromCharCode(byte) : '_';
  }
  return text;
}
