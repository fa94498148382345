// Mixed mail by QMQP at a fixed rate, in whatever time the answers come: each message on a connection of its own, submitted again with
// the same bytes until it is acknowledged. Every recipient has a number of its own, and what must become of it is kept.

import { connect } from 'node:net';
import { qmqpRequest } from '../../test/support/hub-process.ts';
import { pause } from './pause.ts';

/** What a message is like: how often among a thousand, to how many, how large, and what must become of its recipients. */
interface Kind {
  readonly domain: string;
  readonly perThousand: number;
  readonly bytes: number;
  readonly recipients: number;
  readonly isBounced: boolean;
}

const LIST = 1000;
const SINGLE = { recipients: 1, bytes: 2000, isBounced: false };
const KINDS: readonly Kind[] = [
  { ...SINGLE, domain: 'plain.example', perThousand: 940 },
  { ...SINGLE, domain: 'large.example', perThousand: 10, bytes: 100_000 },
  { ...SINGLE, domain: 'later.example', perThousand: 20 },
  { ...SINGLE, domain: 'dead.example', perThousand: 10, isBounced: true },
  { ...SINGLE, domain: 'reject.example', perThousand: 20, isBounced: true },
];
const LIST_KIND: Kind = { ...SINGLE, domain: 'list.example', perThousand: 0, recipients: LIST };
/** One list in so many messages. */
const LIST_EACH = 5000;
const AGAIN_MS = 1000;
/** More messages at a time than that are not begun; they are begun late. */
const FLIGHT_MAX = 1000;
const TICK_MS = 10;

/** The traffic, and its account. */
export class QmqpTraffic {
  /** Of each number: 0 not acknowledged, 1 must be delivered, 2 must be bounced. */
  readonly wanted: number[] = [];
  /** Messages. */
  acknowledged = 0;
  /** Times that a message had to be submitted again, and why the last one. */
  retries = 0;
  lastTrouble = '';
  /** Of the messages acknowledged since it was last emptied, ms. */
  latencies: number[] = [];
  /** Recipients acknowledged. */
  recipients = 0;
  #started = 0;
  #flying = 0;
  readonly #port: number;
  readonly #perSecond: number;

  constructor(port: number, perSecond: number) {
    this.#port = port;
    this.#perSecond = perSecond;
  }

  /** Messages that should have been begun and were not, because too many wait for their answer. */
  backlog(startMs: number, nowMs: number): number {
    return Math.max(0, Math.floor(((nowMs - startMs) / 1000) * this.#perSecond) - this.#started);
  }

  /** Runs until the signal, then until what has begun is acknowledged. */
  async run(signal: AbortSignal): Promise<void> {
    const startMs = performance.now();
    while (!signal.aborted) {
      for (let n = this.backlog(startMs, performance.now()); n > 0 && this.#flying < FLIGHT_MAX; n--)
        void this.#send();
      await pause(TICK_MS);
    }
    while (this.#flying > 0) await pause(TICK_MS);
  }

  async #send(): Promise<void> {
    const kind = kindOf(this.#started++);
    const first = this.wanted.length;
    for (let n = 0; n < kind.recipients; n++) this.wanted.push(0);
    const addresses = Array.from({ length: kind.recipients }, (_, n) => `u${first + n}@${kind.domain}`);
    const head = `Message-ID: <${first}@soak.example>\nSubject: message ${first}\n\n`;
    const line = `${'x'.repeat(71)}\n`;
    const body = line.repeat(Math.ceil((kind.bytes - head.length) / line.length));
    const request = qmqpRequest(head + body, `u${first}@bounce.example`, addresses);
    this.#flying++;
    const startMs = performance.now();
    for (;;) {
      const reply = await ask(this.#port, request);
      if (/^\d+:K/.test(reply)) break;
      this.retries++;
      this.lastTrouble = reply;
      await pause(AGAIN_MS);
    }
    this.#flying--;
    this.latencies.push(performance.now() - startMs);
    this.acknowledged++;
    this.recipients += kind.recipients;
    this.wanted.fill(kind.isBounced ? 2 : 1, first, first + kind.recipients);
  }
}

/** Spreads the kinds evenly; always the same order. */
function kindOf(number: number): Kind {
  if (number % LIST_EACH === LIST_EACH - 1) return LIST_KIND;
  // 617 and 1000 have no divisor in common: each place is met once in a thousand messages.
  let place = (number * 617) % 1000;
  for (const kind of KINDS) {
    if (place < kind.perThousand) return kind;
    place -= kind.perThousand;
  }
  return KINDS[0]!;
}

/** @returns the reply, or why there is none */
function ask(port: number, request: Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    let reply = '';
    let trouble = 'the connection ended without a reply';
    socket.setEncoding('latin1').on('data', (text: string) => {
      reply += text;
    });
    socket.on('error', ({ message }) => {
      trouble = message;
    });
    socket.on('close', () => resolve(reply || trouble));
    socket.write(request);
  });
}
