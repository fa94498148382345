// Tests with inputs by chance. MINI_QMAIL_FUZZ says how many inputs each has (scripts/nightly.mjs asks for a million), and
// MINI_QMAIL_SEED which; otherwise few and always the same, so that the suite is quick and says the same twice.

import { seededRandom } from './simulated-disk.ts';

const RUNS = Number(process.env['MINI_QMAIL_FUZZ'] ?? 2000);
const SEED = Number(process.env['MINI_QMAIL_SEED'] ?? 1);

/** Choices by chance. */
export interface Chance {
  /** A whole number from 0 to below the limit. */
  below(limit: number): number;
  /** One of the items. */
  of<T>(items: readonly T[]): T;
}

/** Choices that a seed decides. */
export function chanceOf(seed: number): Chance {
  const random = seededRandom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  return { below, of: (items) => items[below(items.length)]! };
}

/** Runs a check on as many inputs as are asked for; the error of one that fails says how to see that one again. */
export function fuzz(check: (chance: Chance) => void): void {
  for (let run = 0; run < RUNS; run++) {
    try {
      check(chanceOf(SEED + run));
    } catch (error) {
      throw new Error(`MINI_QMAIL_FUZZ=1 MINI_QMAIL_SEED=${SEED + run} shows it alone`, { cause: error });
    }
  }
}
