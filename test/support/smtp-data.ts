// Decodes the text after DATA as it comes in pieces, and says everything that came of it.

import assert from 'node:assert/strict';
import { textOf } from '../../src/core/bytes/bytes.ts';
import {
  type BareCrTreatment,
  DataDecoder,
  type DataState,
} from '../../src/core/protocol/smtp/data-decoder.ts';

/** What became of the text after DATA. */
export interface Decoded {
  readonly state: DataState;
  readonly text: string;
  /** What follows the end. */
  readonly rest: string;
  readonly flags: string;
}

/** Decodes what comes in these pieces, and overwrites them. */
export function decode(
  pieces: readonly Uint8Array[],
  sizeMax = 0,
  bareCr: BareCrTreatment = 'keep',
): Decoded {
  const decoder = new DataDecoder({ sizeMax, bareCr });
  let state: DataState = 'more';
  let text = '';
  let rest = '';
  for (const piece of pieces) {
    let at = 0;
    while (state === 'more' && at < piece.length) {
      const step = decoder.decode(piece, at);
      assert.ok(step.next > at, 'each call takes something');
      state = step.state;
      at = step.next;
      text += textOf(decoder.output);
    }
    rest += textOf(piece.subarray(at));
    piece.fill(13);
  }
  const flags = [decoder.isTooLarge && 'large', decoder.hasTooManyHops && 'hops', decoder.hasBareCr && 'cr'];
  return { state, text, rest, flags: flags.filter((flag) => flag !== false).join() };
}
