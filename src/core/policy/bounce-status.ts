// What a report in words says in the terms of a delivery status: a code of three numbers, the host that gave it, its own
// words. Reports are written by several hands (our SMTP, qmail-remote, programs of users), so nothing is taken for certain:
// what cannot be found is left out, and the code falls back to a general one. Linear in the report.
// Source: RFC 3463; RFC 3464 section 2.3; the words are those of the qmail-remote manual page.

/** How a report ends that was temporary when the message had become too old. */
export const EXPIRED = "I'm not going to try again; this message has been in the queue too long.\n";

/** What a report amounts to. */
export interface ReportedStatus {
  /** As `5.1.1`. */
  readonly status: string;
  /** Address or name of the host that answered, if one did. */
  readonly host: string | undefined;
  /** The host's reply, else the whole report; may have several lines. */
  readonly words: string;
  /** Whether {@link words} are an SMTP reply. */
  readonly isReply: boolean;
}

const REPLY_MARK = '\nRemote host said: ';
const GIVING_UP = '\nGiving up on ';
const CONNECTED_TO = 'Connected to ';
/** Longest part of a status code: three digits (RFC 3463 section 2). */
const DIGITS_MAX = 3;

/**
 * Reads the report of an outcome.
 * @param kind what the outcome was; a code of another class does not count
 */
export function readReport(report: string, kind: 'success' | 'failure' | 'delay'): ReportedStatus {
  const isExpired = endsWith(report, EXPIRED);
  const text = isExpired ? report.substring(0, report.length - EXPIRED.length) : report;
  const classes = kind === 'success' ? '2' : kind === 'delay' ? '4' : '45';
  const at = text.indexOf(REPLY_MARK);
  const end = at < 0 ? -1 : text.indexOf(GIVING_UP, at);
  const reply = at < 0 ? '' : text.substring(at + REPLY_MARK.length, end < 0 ? text.length : end);
  const fallBack = kind === 'success' ? '2.0.0' : kind === 'delay' ? '4.0.0' : isExpired ? '4.4.7' : '5.0.0';
  return {
    status: findInReply(reply, classes) ?? findInBrackets(text, classes) ?? fallBack,
    host: at < 0 ? undefined : hostOf(text),
    words: at < 0 ? text : reply,
    isReply: isCoded(reply),
  };
}

/** The code behind the reply's number, as in `550 5.1.1 no such user`. */
function findInReply(reply: string, classes: string): string | undefined {
  return isCoded(reply) ? codeAt(reply, 4, classes)?.code : undefined;
}

/** The first code written as `(#5.1.1)`. */
function findInBrackets(text: string, classes: string): string | undefined {
  for (let at = text.indexOf('(#'); at >= 0; at = text.indexOf('(#', at + 2)) {
    const found = codeAt(text, at + 2, classes);
    if (found !== undefined && text.charAt(found.end) === ')') return found.code;
  }
  return undefined;
}

function codeAt(text: string, at: number, classes: string): { code: string; end: number } | undefined {
  const first = text.charAt(at);
  if (first === '' || classes.indexOf(first) < 0 || text.charAt(at + 1) !== '.') return undefined;
  const subjectEnd = digitsEnd(text, at + 2);
  if (subjectEnd === at + 2 || text.charAt(subjectEnd) !== '.') return undefined;
  const end = digitsEnd(text, subjectEnd + 1);
  if (end === subjectEnd + 1 || isDigit(text.charAt(end)) || text.charAt(end) === '.') return undefined;
  return { code: text.substring(at, end), end };
}

function digitsEnd(text: string, from: number): number {
  let at = from;
  while (at < from + DIGITS_MAX && isDigit(text.charAt(at))) at++;
  return at;
}

/** Whether it begins with a reply code. */
function isCoded(reply: string): boolean {
  for (let i = 0; i < 3; i++) if (!isDigit(reply.charAt(i))) return false;
  const next = reply.charAt(3);
  return next === ' ' || next === '-' || next === '\n' || next === '';
}

/** The word that the report begins with, behind `Connected to` if that is there. */
function hostOf(text: string): string | undefined {
  const from = text.substring(0, CONNECTED_TO.length) === CONNECTED_TO ? CONNECTED_TO.length : 0;
  const end = text.indexOf(' ', from);
  return end <= from ? undefined : text.substring(from, end);
}

function isDigit(character: string): boolean {
  return character >= '0' && character <= '9';
}

function endsWith(text: string, end: string): boolean {
  return text.length >= end.length && text.substring(text.length - end.length) === end;
}
