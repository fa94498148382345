// How large a message may be that comes into the hub's queue, on whichever way.

import { readControlNumber } from '../host/control.ts';

const MESSAGE_SIZE_MAX = 100 << 20;

/** Bytes, from `HOME/control/databytes`; undefined for no limit. @throws SystemError */
export function readMessageSizeMax(home: string): number | undefined {
  return readControlNumber(home, 'databytes', MESSAGE_SIZE_MAX) || undefined;
}
