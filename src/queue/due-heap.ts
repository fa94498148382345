// What is due when: a binary heap ordered by time, then by number. Nothing is ever searched or taken out of the
// middle; whoever takes the first entry checks whether it still holds.

/** Something that is due, ms since 1970; of those due at the same time the lower id comes first. */
export interface DueEntry {
  readonly dueMs: number;
  readonly id: number;
}

/** Entries, earliest first; push and pop cost O(log n). */
export class DueHeap<Entry extends DueEntry = DueEntry> {
  readonly #entries: Entry[] = [];

  /** The earliest entry, or undefined. */
  first(): Entry | undefined {
    return this.#entries[0];
  }

  /** Adds an entry. */
  push(entry: Entry): void {
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
  pop(): Entry | undefined {
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
