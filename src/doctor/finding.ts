// What the checks of `mini-qmail doctor` say: one finding per thing that was looked at. Invariant: what is not in order comes with
// what to do about it.

/** How things stand: in order; worth knowing; likely to hurt; mail is lost, refused, misdirected or open to strangers. */
export type CheckState = 'ok' | 'note' | 'warning' | 'error';

/** The states from the best to the worst. */
export const CHECK_STATES: readonly CheckState[] = ['ok', 'note', 'warning', 'error'];

/** One result of a check. */
export interface Finding {
  /** What kind of thing was looked at: `control`, `servers`. */
  readonly check: string;
  /** The thing itself: a file, a server, a name. */
  readonly subject: string;
  readonly state: CheckState;
  /** What was seen, in one line. */
  readonly seen: string;
  /** What to do: a command or a line to write. Always there for a warning or an error. */
  readonly remedy?: string;
}

/** Collects what one check finds. */
export class Findings {
  readonly #check: string;
  readonly list: Finding[] = [];

  /** @param check the name of the check, as in {@link Finding} */
  constructor(check: string) {
    this.#check = check;
  }

  ok(subject: string, seen: string): void {
    this.list.push({ check: this.#check, subject, state: 'ok', seen });
  }

  note(subject: string, seen: string, remedy?: string): void {
    this.list.push({ check: this.#check, subject, state: 'note', seen, ...(remedy && { remedy }) });
  }

  warning(subject: string, seen: string, remedy: string): void {
    this.list.push({ check: this.#check, subject, state: 'warning', seen, remedy });
  }

  error(subject: string, seen: string, remedy: string): void {
    this.list.push({ check: this.#check, subject, state: 'error', seen, remedy });
  }
}

/** A number and what it counts. @param word in the singular; its plural ends in -s */
export function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

/** How many findings are of each state. */
export function countStates(findings: readonly Finding[]): { readonly [state in CheckState]: number } {
  const counts = { ok: 0, note: 0, warning: 0, error: 0 };
  for (const { state } of findings) counts[state]++;
  return counts;
}
