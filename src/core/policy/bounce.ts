// Bounces: who gets one, and its text, which programs read (QSBMF) and so is fixed to the byte.
// Sources: the qmail-send manual page; D. J. Bernstein, "The qmail-send Bounce Message Format" (cr.yp.to/proto/qsbmf.txt).

import { ByteBuffer } from '../bytes/byte-buffer.ts';
import { bytesOf, concatBytes, equalBytes } from '../bytes/bytes.ts';
import type { DomainMap } from '../format/domain-map.ts';
import { formatDate } from '../message/date.ts';
import { quoteAddress } from '../message/quote.ts';
import { stripVirtualPrepend } from './recipient.ts';
import { withoutVerp } from './verp.ts';

const LF = 10;
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
 * The notice up to and including the blank line after Return-Path; the failed message follows it unchanged.
 * Differs: a LF in an address becomes `_` in the header as well, so that no address can add a line to it.
 * @param nowMs time for the Date field, ms since 1970
 */
export function formatBounce(
  plan: BouncePlan,
  failures: readonly BounceFailure[],
  controls: BounceControls,
  nowMs: number,
): Uint8Array {
  const text = new ByteBuffer(1024);
  const from = concatBytes([controls.bouncefrom, bytesOf('@'), controls.bouncehost]);
  text.appendText(`Date: ${formatDate(nowMs)}\nFrom: `);
  text.append(headerAddress(from));
  text.appendText('\nTo: ');
  text.append(headerAddress(plan.recipient));
  text.appendText('\nSubject: failure notice\n\nHi. This is the qmail-send program at ');
  text.append(controls.bouncehost);
  text.appendText('.\n');
  text.appendText(plan.kind === 'single' ? SORRY : DOUBLE);
  for (let i = 0; i < failures.length; i++) {
    text.append(formatParagraph(failures[i]!, controls.virtualdomains));
  }
  text.appendText(
    `--- Below this line is ${plan.kind === 'single' ? 'a copy of the message' : 'the original bounce'}.\n\n`,
  );
  text.appendText('Return-Path: <');
  text.append(headerAddress(plan.returnPath));
  text.appendText('>\n');
  return text.toBytes();
}

const SORRY =
  "I'm afraid I wasn't able to deliver your message to the following addresses.\n" +
  "This is a permanent error; I've given up. Sorry it didn't work out.\n\n";
const DOUBLE = 'I tried to deliver a bounce message to this address, but the bounce bounced!\n\n';

/** The quoted address on one line. */
function headerAddress(address: Uint8Array): Uint8Array {
  return withoutLineEnds(quoteAddress(address));
}

function withoutLineEnds(bytes: Uint8Array): Uint8Array {
  const line = concatBytes([bytes]);
  for (let i = 0; i < line.length; i++) if (line[i] === LF) line[i] = UNDERSCORE;
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
  text.append(bytesOf(failure.report));
  if (failure.report.length > 0 && failure.report.charCodeAt(failure.report.length - 1) !== LF)
    text.appendByte(LF);
  const paragraph = text.view();
  for (let i = paragraph.length - 2; i > 0; i--) {
    if (paragraph[i] === LF && paragraph[i - 1] === LF) paragraph[i] = SLASH;
  }
  text.appendByte(LF);
  return text.toBytes();
}
