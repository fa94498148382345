// For how long, and of how many messages, the hub recognises what it has accepted. Everything that opens the queue of a home
// reads the same, since it writes down anew what is still to be recognised.

import { readControlNumber } from '../host/control.ts';
import { type ResubmissionLimits, SEEN_COUNT_MAX, SEEN_WINDOW_SECONDS } from '../queue/resubmissions.ts';

/** From `HOME/control/resubmissionwindow`, in seconds, and `HOME/control/resubmissioncount`. @throws SystemError */
export function readResubmissionLimits(home: string): ResubmissionLimits {
  return {
    windowMs: readControlNumber(home, 'resubmissionwindow', SEEN_WINDOW_SECONDS) * 1000,
    countMax: readControlNumber(home, 'resubmissioncount', SEEN_COUNT_MAX),
  };
}
