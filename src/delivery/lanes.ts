// Work that waits, sorted into lanes (destinations), each with a limit on how much of it runs at a time: a slow
// destination fills its own lane and nobody else's. Lanes with work take turns.

interface Lane<T> {
  readonly limit: number;
  /** Items from index `next` on wait; those before it are gone (undefined) and cut off now and then. */
  items: (T | undefined)[];
  next: number;
  running: number;
}

const GONE_MAX = 1000;

/** Waiting items of type T; every operation takes constant time on average. */
export class Lanes<T> {
  readonly #lanes = new Map<string, Lane<T>>();
  /** Lanes that have waiting work and room to run it, next one first. */
  readonly #ready = new Map<string, Lane<T>>();

  /** Adds work to a lane; the limit (1 or more) is the one that the lane was opened with. */
  add(key: string, limit: number, item: T): void {
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = { limit, items: [], next: 0, running: 0 };
      this.#lanes.set(key, lane);
    }
    lane.items.push(item);
    this.#update(key, lane);
  }

  /** Takes the next item that may run now; {@link Lanes.done} must be called when it has. */
  take(): T | undefined {
    for (const [key, lane] of this.#ready) {
      const item = shift(lane);
      lane.running++;
      // To the end of the row, so that the others have their turn.
      this.#ready.delete(key);
      this.#update(key, lane);
      return item;
    }
    return undefined;
  }

  /** An item of that lane has run. */
  done(key: string): void {
    const lane = this.#lanes.get(key);
    if (lane === undefined) return;
    lane.running--;
    this.#update(key, lane);
    if (lane.running === 0 && !hasWaiting(lane)) this.#lanes.delete(key);
  }

  #update(key: string, lane: Lane<T>): void {
    if (hasWaiting(lane) && lane.running < lane.limit) this.#ready.set(key, lane);
    else this.#ready.delete(key);
  }
}

function hasWaiting<T>(lane: Lane<T>): boolean {
  return lane.next < lane.items.length;
}

function shift<T>(lane: Lane<T>): T {
  const item = lane.items[lane.next] as T;
  lane.items[lane.next++] = undefined;
  if (lane.next > GONE_MAX && lane.next * 2 > lane.items.length) {
    lane.items = lane.items.slice(lane.next);
    lane.next = 0;
  }
  return item;
}
