// Bounces: who gets one, and its text, which programs read (QSBMF) and so is fixed to the byte.
// Sources: the qmail-send manual page; D. J. Bernstein, "The qmail-send Bounce Message Format" (cr.yp.to/proto/qsbmf.txt).

import { ByteBuffer } from '../bytes/byte-buffer.ts';
import { bytesOf, concatBytes, copyBytes, equalBytes } from '../bytes/bytes.ts';
import type { DomainMap } from '../format/domain-map.ts';
import { formatDate } from '../message/date.ts';
import { quoteAddress } from '../message/quote.ts';
import { stripVirtualPrepend } from './recipient.ts';
import { withoutVerp } from './verp.ts';

const LF = 10;
const CR = 13;
const SLASH = 47;
const UNDERSCORE = 95;
const NO_BYTES = bytesOf('');
/** Envelope sender of a double bounce: a bounce of that is discarded. */
const DOUBLE_BOUNCE_SENDER = bytesOf('#@[]');

/** The control files that shape bounces. */
export interface BounceControls {
  readonly bouncefrom: Uint8Array;
  readonly bouncehost: Uint8Array;
  readonly doublebounceto: Uint8Array;
  readonly doublebouncehost: Uint8Array;
  readonly virtualdomains: DomainMap;
}

/** A notice to be sent: for a sender (`single`), or to the postmaster because a bounce bounced (`double`). */
export interface BouncePlan {
  readonly kind: 'single' | 'double';
  /** Envelope sender of the notice. */
  readonly sender: Uint8Array;
  /** Whom the notice goes to. */
  readonly recipient: Uint8Array;
  /** What the notice says was the sender of the message. */
  readonly returnPath: Uint8Array;
}

/** What to do about a message from `sender` that failed; undefined for a triple bounce, which is discarded. */
export function planBounce(sender: Uint8Array, controls: BounceControls): BouncePlan | undefined {
  if (equalBytes(sender, DOUBLE_BOUNCE_SENDER)) return undefined;
  const returnPath = withoutVerp(sender);
  if (returnPath.length > 0) {
    return { kind: 'single', sender: NO_BYTES, recipient: returnPath, returnPath };
  }
  const recipient = concatBytes([controls.doublebounceto, bytesOf('@'), controls.doublebouncehost]);
  return { kind: 'double', sender: DOUBLE_BOUNCE_SENDER, recipient, returnPath };
}

/** A failed recipient and why: `report` has one character per byte and LF line ends. */
export interface BounceFailure {
  readonly address: Uint8Array;
  readonly report: string;
}

/**
 * The notice in qmail's own format, up to and including Return-Path; the failed message follows it unchanged.
 * @param nowMs time for the Date field, ms since 1970
 */
export function formatBounce(
  plan: BouncePlan,
  failures: readonly BounceFailure[],
  controls: BounceControls,
  nowMs: number,
): Uint8Array {
  return concatBytes([
    formatNoticeHeader(plan.recipient, 'failure notice', controls, nowMs),
    bytesOf('\n'),
    formatBounceText(plan, failures, controls, 'message'),
    formatReturnPath(plan.returnPath),
  ]);
}

/**
 * The fields that every notice begins with.
 * Differs: a CR or LF in an address becomes `_`, so that no address can add a line.
 */
export function formatNoticeHeader(
  recipient: Uint8Array,
  subject: string,
  controls: Pick<BounceControls, 'bouncefrom' | 'bouncehost'>,
  nowMs: number,
): Uint8Array {
  const from = concatBytes([controls.bouncefrom, bytesOf('@'), controls.bouncehost]);
  return concatBytes([
    bytesOf(`Date: ${formatDate(nowMs)}\nFrom: `),
    headerAddress(from),
    bytesOf('\nTo: '),
    headerAddress(recipient),
    bytesOf(`\nSubject: ${subject}\n`),
  ]);
}

/** What follows the text of a notice: the message, its header, or nothing of so many messages. */
export type Enclosed = 'message' | 'header' | { readonly messages: number };

/** What people and programs read, from `Hi.` to the line above which everything was said, with the blank line after it. */
export function formatBounceText(
  plan: Pick<BouncePlan, 'kind'>,
  failures: readonly BounceFailure[],
  controls: Pick<BounceControls, 'bouncehost' | 'virtualdomains'>,
  enclosed: Enclosed,
): Uint8Array {
  const text = new ByteBuffer(1024);
  text.appendText('Hi. This is the qmail-send program at ');
  text.append(controls.bouncehost);
  text.appendText(plan.kind === 'single' ? `.\n${SORRY}` : `.\n${DOUBLE}`);
  if (typeof enclosed === 'object') text.appendText(MANY);
  text.appendText('\n');
  for (let i = 0; i < failures.length; i++) {
    text.append(formatParagraph(failures[i]!, controls.virtualdomains));
  }
  if (typeof enclosed === 'object') {
    text.appendText(`--- These were ${enclosed.messages} messages; no copies follow.\n`);
    return text.toBytes();
  }
  const of = enclosed === 'header' ? 'the header of ' : plan.kind === 'single' ? 'a copy of ' : '';
  const what = plan.kind === 'single' ? 'the message' : 'the original bounce';
  text.appendText(`--- Below this line is ${of}${what}.\n\n`);
  return text.toBytes();
}

/** The field that stands above the copy of a message. */
export function formatReturnPath(returnPath: Uint8Array): Uint8Array {
  return concatBytes([bytesOf('Return-Path: <'), headerAddress(returnPath), bytesOf('>\n')]);
}

const SORRY =
  "I'm afraid I wasn't able to deliver your message to the following addresses.\n" +
  "This is a permanent error; I've given up. Sorry it didn't work out.\n";
const DOUBLE = 'I tried to deliver a bounce message to this address, but the bounce bounced!\n';
const MANY = 'There were too many of them lately to tell you of each message by itself.\n';

/** The quoted address on one line. */
export function headerAddress(address: Uint8Array): Uint8Array {
  return withoutLineEnds(quoteAddress(address));
}

/** With `_` for each CR and LF: a CR alone is a line end too on its way through SMTP. */
export function withoutLineEnds(bytes: Uint8Array): Uint8Array {
  const line = copyBytes(bytes);
  for (let i = 0; i < line.length; i++) if (line[i] === LF || line[i] === CR) line[i] = UNDERSCORE;
  return line;
}

/**
 * One recipient's paragraph, `<ADDRESS>:` LF REPORT and a blank line. No blank line stands inside: a LF after a LF
 * becomes `/`, except at the report's end.
 */
export function formatParagraph(failure: BounceFailure, virtualdomains: DomainMap): Uint8Array {
  const text = new ByteBuffer(256);
  text.appendText('<');
  text.append(withoutLineEnds(stripVirtualPrepend(failure.address, virtualdomains)));
  text.appendText('>:\n');
  const { report } = failure;
  text.append(bytesOf(report));
  if (report.length > 0 && report.charCodeAt(report.length - 1) !== LF) text.appendByte(LF);
  const paragraph = text.view();
  for (let i = paragraph.length - 2; i > 0; i--) {
    if (paragraph[i] === LF && paragraph[i - 1] === LF) paragraph[i] = SLASH;
  }
  text.appendByte(LF);
  return text.toBytes();
}
