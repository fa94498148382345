// For how long, and of how many messages, the hub recognises what it has accepted. Everything that opens the queue of a home
// reads the same, since it writes down anew what is still to be recognised.

import { readControlNumber } from '../host/control.ts';
import { DEFAULT_RESUBMISSION_LIMITS, type ResubmissionLimits } from '../queue/resubmissions.ts';

/** From `HOME/control/resubmissionwindow`, in seconds, and `HOME/control/resubmissioncount`. @throws SystemError */
export function readResubmissionLimits(home: string): ResubmissionLimits {
  const { windowMs, countMax } = DEFAULT_RESUBMISSION_LIMITS;
  return {
    windowMs: readControlNumber(home, 'resubmissionwindow', windowMs / 1000) * 1000,
    countMax: readControlNumber(home, 'resubmissioncount', countMax),
  };
}
