// The one table of outcomes: what a queue program's exit code means, in class and words. Every program that hands a
// message on (qmail-inject, qmail-qmqpd, later qmail-smtpd, forward …) takes its text, its exit code or its reply
// letter from here, so that one cause reads the same everywhere.
// Source: qmail.c's interface as the qmail-queue manual page describes it.

/** Class of an outcome: K accepted, Z temporary failure, D permanent failure. */
export type OutcomeLetter = 'K' | 'Z' | 'D';

/** What became of a message: its class and, unless accepted, a text with the enhanced code in brackets. */
export interface Outcome {
  readonly letter: OutcomeLetter;
  readonly text: string;
  /** Whether the partner may have accepted all the same: the message may arrive twice. */
  readonly isUnknown?: true;
}

/** How a queue program ended, as the program that started it saw it. */
export interface QueueResult {
  /** Exit code 0 to 255, or `signal` if the program was killed, or `lost` if waiting for it failed. */
  readonly exit: number | 'signal' | 'lost';
  /** Whether some part of the message or envelope could not be handed over. */
  readonly writeFailed: boolean;
  /** What the program wrote on descriptor 6, if the caller listened there; counts with exit code 82 only. */
  readonly customText?: string;
  /** Process id of the queue program (our own when it ran in this process). */
  readonly pid: number;
  /** What people are to know beside the result, such as that the message waits on this host. */
  readonly notice?: string;
}

/** Names for the exit codes of a queue program that our own code uses. */
export const QUEUE_EXIT = {
  accepted: 0,
  addressTooLong: 11,
  refused: 31,
  noMemory: 51,
  timeout: 52,
  writeError: 53,
  readError: 54,
  configuration: 55,
  network: 56,
  home: 61,
  queueFolder: 62,
  queueFiles: 66,
  serverTemporary: 71,
  connectTimeout: 72,
  connectRefused: 73,
  connectionLost: 74,
  bug: 81,
  envelopeFormat: 91,
  notExecutable: 120,
} as const;

const ACCEPTED: Outcome = { letter: 'K', text: '' };
const READ_ERROR: Outcome = { letter: 'Z', text: 'qq read error (#4.3.0)' };
const TEMPORARY: Outcome = { letter: 'Z', text: 'qq temporary problem (#4.3.0)' };
const PERMANENT: Outcome = { letter: 'D', text: 'qq permanent problem (#5.3.0)' };
const CUSTOM_TEXT_MIN = 3;
const CUSTOM_TEXT_MAX = 255;

const BY_EXIT: { readonly [exit: number]: Outcome } = {
  11: { letter: 'D', text: 'envelope address too long for qq (#5.1.3)' },
  31: { letter: 'D', text: 'mail server permanently rejected message (#5.3.0)' },
  51: { letter: 'Z', text: 'qq out of memory (#4.3.0)' },
  52: { letter: 'Z', text: 'qq timeout (#4.3.0)' },
  53: { letter: 'Z', text: 'qq write error or disk full (#4.3.0)' },
  54: READ_ERROR,
  55: { letter: 'Z', text: 'qq unable to read configuration (#4.3.0)' },
  56: { letter: 'Z', text: 'qq trouble making network connection (#4.3.0)' },
  61: { letter: 'Z', text: 'qq trouble in home directory (#4.3.0)' },
  62: { letter: 'Z', text: 'qq trouble creating files in queue (#4.3.0)' },
  63: { letter: 'Z', text: 'qq trouble creating files in queue (#4.3.0)' },
  64: { letter: 'Z', text: 'qq trouble creating files in queue (#4.3.0)' },
  65: { letter: 'Z', text: 'qq trouble creating files in queue (#4.3.0)' },
  66: { letter: 'Z', text: 'qq trouble creating files in queue (#4.3.0)' },
  71: { letter: 'Z', text: 'mail server temporarily rejected message (#4.3.0)' },
  72: { letter: 'Z', text: 'connection to mail server timed out (#4.4.1)' },
  73: { letter: 'Z', text: 'connection to mail server rejected (#4.4.1)' },
  74: { letter: 'Z', text: 'communication with mail server failed (#4.4.2)' },
  81: { letter: 'Z', text: 'qq internal bug (#4.3.0)' },
  91: { letter: 'Z', text: 'qq internal bug (#4.3.0)' },
  115: { letter: 'D', text: 'envelope address too long for qq (#5.1.3)' },
  120: { letter: 'Z', text: 'unable to exec qq (#4.3.0)' },
};

/**
 * What a queue program's end means. Exit code 0 counts as acceptance only if everything could be written; a custom
 * text counts only with exit code 82 and three bytes or more, is cut at its first NUL and at 255 bytes, and its first
 * byte is its class (D permanent, anything else temporary).
 */
export function outcomeOfQueueResult(result: QueueResult): Outcome {
  if (result.exit === 'signal') return { letter: 'Z', text: 'qq crashed (#4.3.0)' };
  if (result.exit === 'lost') return { letter: 'Z', text: 'qq waitpid surprise (#4.3.0)' };
  if (result.exit === 0) return result.writeFailed ? READ_ERROR : ACCEPTED;
  const custom = result.customText;
  if (result.exit === 82 && custom !== undefined && custom.length >= CUSTOM_TEXT_MIN) {
    const nul = custom.indexOf('\0');
    const text = custom.substring(0, Math.min(nul < 0 ? custom.length : nul, CUSTOM_TEXT_MAX));
    return { letter: text.charAt(0) === 'D' ? 'D' : 'Z', text: text.substring(1) };
  }
  const row = BY_EXIT[result.exit];
  if (row !== undefined) return row;
  return result.exit >= 11 && result.exit <= 40 ? PERMANENT : TEMPORARY;
}
