// Keeps one broken sender, or a flood of forged ones, from becoming a flood of bounces: so many notices for an address in an
// hour, and so many in all. Messages beyond that stay in the queue and are told of together, in one notice when the hour is
// over or a thousand have come. Nothing is lost by it: after a crash they are found in the queue again.

import { lowerCase, textOf } from '../core/bytes/bytes.ts';
import type { Clock } from '../host/clock.ts';
import type { FinishedMessage } from '../queue/queue.ts';

/** How many notices there may be; 0 for any number. */
export interface BounceRates {
  /** In an hour for one address. */
  readonly bouncerate: number;
  /** In an hour for all. */
  readonly bouncerateall: number;
}

/** What a {@link BounceLimit} is made of. */
export interface BounceLimitSettings {
  readonly rates: BounceRates;
  readonly clock: Clock;
  /** Called with messages for one address that may be told of now, in one notice. */
  readonly onRelease: (messages: FinishedMessage[]) => void;
  /** Called when the first message for an address has to wait. */
  readonly onWait: (address: Uint8Array) => void;
}

const HOUR_MS = 3_600_000;
const TOGETHER_MAX = 1000;

/** See the head of this file. */
export class BounceLimit {
  readonly #settings: BounceLimitSettings;
  readonly #counts = new Map<string, number>();
  readonly #waiting = new Map<string, FinishedMessage[]>();
  #inAll = 0;
  #callOff: (() => void) | undefined;
  #isStopped = false;

  constructor(settings: BounceLimitSettings) {
    this.#settings = settings;
  }

  /** Whether a notice for the address may go now. If not the message is kept in mind, to be released with others. */
  admit(address: Uint8Array, message: FinishedMessage): boolean {
    const key = textOf(lowerCase(address));
    if (this.#take(key)) return true;
    const messages = this.#waiting.get(key) ?? [];
    if (messages.length === 0) this.#settings.onWait(address);
    messages.push(message);
    if (messages.length < TOGETHER_MAX) this.#waiting.set(key, messages);
    else this.#release(key, messages);
    return false;
  }

  /** Releases nothing any more. */
  stop(): void {
    this.#isStopped = true;
    this.#callOff?.();
    this.#waiting.clear();
  }

  #take(key: string): boolean {
    const { bouncerate, bouncerateall } = this.#settings.rates;
    if (!this.#isStopped) this.#callOff ??= this.#settings.clock.after(HOUR_MS, () => this.#endHour());
    const count = this.#counts.get(key) ?? 0;
    if (bouncerate > 0 && count >= bouncerate) return false;
    if (bouncerateall > 0 && this.#inAll >= bouncerateall) return false;
    this.#counts.set(key, count + 1);
    this.#inAll++;
    return true;
  }

  #endHour(): void {
    this.#callOff = undefined;
    this.#counts.clear();
    this.#inAll = 0;
    for (const [key, messages] of [...this.#waiting]) {
      if (!this.#take(key)) return;
      this.#release(key, messages);
    }
  }

  #release(key: string, messages: FinishedMessage[]): void {
    this.#waiting.delete(key);
    this.#settings.onRelease(messages);
  }
}
