// Whose turn it is among many that wait: a line, and beside it those that just got something new. Turns are taken from
// both by turns, newest first from the second: what is fresh waits for two turns at most, however long the line is, and
// however much comes in, the line moves on.

// The front of an array is cut off when that much of it is used up.
const USED_MAX = 1000;

/** A line of distinct items; every operation takes constant time on average. */
export class Turns<T> {
  /** Items in the line, each with the number of its present place. */
  readonly #places = new Map<T, number>();
  #line: { readonly item: T; readonly place: number }[] = [];
  #used = 0;
  #fresh: T[] = [];
  #nextPlace = 0;
  #freshHasTurn = true;

  get size(): number {
    return this.#places.size;
  }

  /** Puts an item at the end of the line, unless it is in it; a fresh one may jump the line. */
  add(item: T, fresh = false): void {
    if (!this.#places.has(item)) {
      const place = this.#nextPlace++;
      this.#places.set(item, place);
      this.#line.push({ item, place });
    }
    if (!fresh) return;
    this.#fresh.push(item);
    if (this.#fresh.length > 2 * this.#places.size + USED_MAX)
      this.#fresh = [...new Set(this.#fresh.reverse())].filter((one) => this.#places.has(one)).reverse();
  }

  delete(item: T): void {
    this.#places.delete(item);
  }

  /** The item that waits longest. */
  first(): T | undefined {
    for (; this.#used < this.#line.length; this.#used++) {
      const { item, place } = this.#line[this.#used]!;
      if (this.#places.get(item) === place) return item;
    }
    return undefined;
  }

  /** Takes the item that has its turn out of the line. */
  take(): T | undefined {
    const item = (this.#freshHasTurn ? this.#newest() : undefined) ?? this.first();
    this.#freshHasTurn = !this.#freshHasTurn;
    if (item !== undefined) this.#places.delete(item);
    if (this.#used > USED_MAX && this.#used * 2 > this.#line.length) {
      this.#line = this.#line.slice(this.#used);
      this.#used = 0;
    }
    return item;
  }

  #newest(): T | undefined {
    for (let item = this.#fresh.pop(); item !== undefined; item = this.#fresh.pop())
      if (this.#places.has(item)) return item;
    return undefined;
  }
}
