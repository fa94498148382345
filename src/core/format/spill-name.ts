// Names of messages that are kept on a client while no server takes mail. A name says all that must be known before the file
// is opened: its place in the order of arrival, how long it must be, and what came of it so far:
//   SECONDS.MICROSECONDS.PID.BYTES[.uSECONDS][.hHUB][.zSECONDS][.xSECONDS]
// Invariant: a name has one meaning and a meaning one name; every other name is somebody else's, and undefined.

/** What a name says; times are seconds since 1970. */
export interface SpillName {
  /** Place in the order of arrival: when it came, or just behind the message before if the clock was set back. */
  readonly seconds: number;
  /** 0 to 999999. */
  readonly microseconds: number;
  /** Process that kept it. */
  readonly pid: number;
  /** Bytes of the whole file. */
  readonly size: number;
  /** When it was first on its way to a server without anybody knowing how that ended. */
  readonly unknownSince?: number | undefined;
  /** The hub that may have it: a number that its lines in a server list have in common. */
  readonly hub?: number | undefined;
  /** When a server that could be reached last put it off. */
  readonly putOffAt?: number | undefined;
  /** When it was refused for good. */
  readonly refusedAt?: number | undefined;
}

const MICROSECONDS_DIGITS = 6;
const MICROSECONDS_MAX = 999_999;
const DIGITS_MAX = 15;
const ZERO = 48;

/** The name as a file name. */
export function formatSpillName(name: SpillName): string {
  let micros = String(name.microseconds);
  while (micros.length < MICROSECONDS_DIGITS) micros = `0${micros}`;
  let text = `${name.seconds}.${micros}.${name.pid}.${name.size}`;
  if (name.unknownSince !== undefined) text += `.u${name.unknownSince}`;
  if (name.hub !== undefined) text += `.h${name.hub}`;
  if (name.putOffAt !== undefined) text += `.z${name.putOffAt}`;
  if (name.refusedAt !== undefined) text += `.x${name.refusedAt}`;
  return text;
}

/** What a file name says, or undefined if it is none of these names. */
export function parseSpillName(text: string): SpillName | undefined {
  const [first = '', second = '', third = '', fourth = '', ...marks] = text.split('.');
  const seconds = numberOf(first);
  const microseconds = numberOf(second);
  const pid = numberOf(third);
  const size = numberOf(fourth);
  if (seconds < 0 || microseconds < 0 || pid < 0 || size < 0) return undefined;
  const name: { -readonly [key in keyof SpillName]: SpillName[key] } = {
    seconds,
    microseconds,
    pid,
    size,
  };
  for (const mark of marks) {
    const value = numberOf(mark.substring(1));
    if (value < 0) return undefined;
    if (mark.charAt(0) === 'u') name.unknownSince = value;
    else if (mark.charAt(0) === 'h') name.hub = value;
    else if (mark.charAt(0) === 'z') name.putOffAt = value;
    else name.refusedAt = value;
  }
  // Leading zeros, marks twice, unknown or in another order do not come back as they were.
  return microseconds <= MICROSECONDS_MAX && formatSpillName(name) === text ? name : undefined;
}

/** A number of digits only; -1 for everything else. */
function numberOf(text: string): number {
  if (text.length === 0 || text.length > DIGITS_MAX) return -1;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/**
 * Compares two messages by when their turn is: those that no server has put off yet in the order of arrival, then those
 * put off, the longest ago first, so that one that is put off for ever does not hold up the others.
 */
export function compareSpilled(a: SpillName, b: SpillName): number {
  const turn = (a.putOffAt ?? -1) - (b.putOffAt ?? -1);
  return turn !== 0 ? turn : compareArrival(a, b);
}

/** Compares two messages by arrival. */
export function compareArrival(a: SpillName, b: SpillName): number {
  return a.seconds - b.seconds || a.microseconds - b.microseconds || a.pid - b.pid;
}

/** The name of a message that comes now, behind all that are there. @param last the latest of these */
export function nextSpillName(
  nowMs: number,
  pid: number,
  size: number,
  last: SpillName | undefined,
): SpillName {
  let seconds = Math.floor(nowMs / 1000);
  let microseconds = Math.floor(nowMs % 1000) * 1000;
  if (
    last !== undefined &&
    (last.seconds > seconds || (last.seconds === seconds && last.microseconds >= microseconds))
  ) {
    const isLast = last.microseconds === MICROSECONDS_MAX;
    seconds = isLast ? last.seconds + 1 : last.seconds;
    microseconds = isLast ? 0 : last.microseconds + 1;
  }
  return { seconds, microseconds, pid, size };
}
