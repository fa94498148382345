// What is due when: a binary heap ordered by time, then by message id. Nothing is ever searched or taken out of the
// middle; whoever takes the first entry checks whether it still holds.

import type { MessageId } from './queue.ts';

/** A message (of one channel) and when it is due, ms since 1970. */
export interface DueEntry {
  readonly dueMs: number;
  readonly id: MessageId;
}

/** Entries, earliest first; push and pop cost O(log n). */
export class DueHeap {
  readonly #entries: DueEntry[] = [];

  /** The earliest entry, or undefined. */
  first(): DueEntry | undefined {
    return this.#entries[0];
  }

  /** Adds an entry. */
  push(entry: DueEntry): void {
    const entries = this.#entries;
    let at = entries.length;
    entries.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(entry, entries[parent]!)) break;
      entries[at] = entries[parent]!;
      at = parent;
    }
    entries[at] = entry;
  }

  /** Takes the earliest entry out. */
  pop(): DueEntry | undefined {
    const entries = this.#entries;
    const first = entries[0];
    const last = entries.pop();
    if (last === undefined || entries.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= entries.length) break;
      if (child + 1 < entries.length && isBefore(entries[child + 1]!, entries[child]!)) child++;
      if (!isBefore(entries[child]!, last)) break;
      entries[at] = entries[child]!;
      at = child;
    }
    entries[at] = last;
    return first;
  }
}

function isBefore(a: DueEntry, b: DueEntry): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.id < b.id);
}
