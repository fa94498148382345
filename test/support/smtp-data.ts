// Decodes the text after DATA in two ways that share nothing.

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

/** Decodes what comes in these pieces. */
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
      state = step.state;
      at = step.next;
      text += textOf(decoder.output);
    }
    rest += textOf(piece.subarray(at));
  }
  const flags = [decoder.isTooLarge && 'large', decoder.hasTooManyHops && 'hops', decoder.hasBareCr && 'cr'];
  return { state, text, rest, flags: flags.filter((flag) => flag !== false).join() };
}

/** The same by looking at the text as a whole, slowly, without a limit of size or hops. */
export function decodeByReference(sent: string): Decoded {
  const stray = /(?<!\r)\n/.exec(sent)?.index ?? Number.POSITIVE_INFINITY;
  const end = /(?<=^|\r\n)\.\r\n/.exec(sent)?.index ?? Number.POSITIVE_INFINITY;
  const unstuffed = (text: string): string =>
    text
      .split('\r\n')
      .map((line) => (/^\.[^\r]/.test(line) ? line.slice(1) : line))
      .join('\n');
  if (stray < end)
    return { state: 'stray-lf', text: settled(sent.slice(0, stray)), rest: sent.slice(stray + 1), flags: '' };
  if (end < stray)
    return { state: 'end', text: unstuffed(sent.slice(0, end)), rest: sent.slice(end + 3), flags: '' };
  return { state: 'more', text: settled(sent), rest: '', flags: '' };

  /** Without what the next byte decides. */
  function settled(text: string): string {
    return unstuffed(text.replace(/(?:(?<=^|\r\n)\.\r?|\r)$/, ''));
  }
}
