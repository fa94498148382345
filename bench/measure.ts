// What every bench shares: rounds in which all candidates take turns, medians, and a table that says how it came about.

/** One thing to measure: runs once and tells how much it did per second, or how long it took. */
export interface Candidate {
  readonly name: string;
  run(): Promise<number>;
}

/** Smallest, middle and largest of some values. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** Runs every candidate once per round, one after the other, so that all of them see the same machine; one round before does not count. */
export async function takeTurns(
  candidates: readonly Candidate[],
  rounds: number,
): Promise<Map<string, Spread>> {
  const values = new Map<string, number[]>(candidates.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const { name, run } of candidates) {
      const value = await run();
      if (round > 0) values.get(name)!.push(value);
    }
  }
  return new Map([...values].map(([name, list]) => [name, spreadOf(list)]));
}

/** @param values one or more */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { min: sorted[0]!, median, max: sorted.at(-1)! };
}

/** Prints a row per candidate. */
export function printSpreads(spreads: ReadonlyMap<string, Spread>, unit: string, digits = 0): void {
  const width = Math.max(...[...spreads.keys()].map((name) => name.length));
  console.log(
    `  ${''.padEnd(width)}  ${['minimum', 'median', 'maximum'].map((head) => head.padStart(9)).join('')}  ${unit}`,
  );
  for (const [name, { min, median, max }] of spreads) {
    const cells = [min, median, max].map((value) => value.toFixed(digits).padStart(9));
    console.log(`  ${name.padEnd(width)}  ${cells.join('')}`);
  }
}

/** Prints a ratio with its budget and whether it is met. */
export function printRatio(
  what: string,
  ratio: number,
  budget: { atLeast: number } | { atMost: number },
): void {
  const isMet = 'atLeast' in budget ? ratio >= budget.atLeast : ratio <= budget.atMost;
  const limit = 'atLeast' in budget ? `≥ ${budget.atLeast}` : `≤ ${budget.atMost}`;
  console.log(`  ${what}: ${ratio.toFixed(2)}×, budget ${limit}×, ${isMet ? 'met' : 'NOT MET'}`);
}
