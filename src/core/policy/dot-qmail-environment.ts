// The environment variables that instructions of a dot-qmail file find, and the lines in some of them.
// Source: the qmail-command manual page.

import { bytesOf, concatBytes, findByte, findLastByte } from '../bytes/bytes.ts';
import { formatFromLine } from '../format/mbox.ts';
import { formatDeliveredTo, formatReturnPath } from '../message/delivery-lines.ts';

/** Who gets a message from whom, as bytes without NUL. */
export interface LocalRecipient {
  readonly user: Uint8Array;
  readonly home: Uint8Array;
  /** Local part of the recipient address. */
  readonly local: Uint8Array;
  /** What of the local part belongs to the address and not to the user. */
  readonly ext: Uint8Array;
  readonly domain: Uint8Array;
  /** Envelope sender. */
  readonly sender: Uint8Array;
}

/** The lines that a delivery adds, each with its LF. */
export interface DeliveryLines {
  readonly from: Uint8Array;
  readonly returnPath: Uint8Array;
  readonly deliveredTo: Uint8Array;
}

/** A variable: name and value. */
export type Variable = readonly [name: string, value: Uint8Array];

const DASH = 45;
const DOT = 46;
const AT = bytesOf('@');

/** Local part and domain as one address. */
export function recipientAddress({ local, domain }: LocalRecipient): Uint8Array {
  return concatBytes([local, AT, domain]);
}

/** The lines for a delivery at that time, ms since 1970. */
export function formatDeliveryLines(recipient: LocalRecipient, nowMs: number): DeliveryLines {
  return {
    from: formatFromLine(recipient.sender, nowMs),
    returnPath: formatReturnPath(recipient.sender),
    deliveredTo: formatDeliveredTo(recipientAddress(recipient)),
  };
}

/** All environment variables of a delivery but DEFAULT and NEWSENDER, which depend on files. */
export function listVariables(recipient: LocalRecipient, lines: DeliveryLines): Variable[] {
  const { domain, ext } = recipient;
  const domain2 = beforeLastDot(domain);
  const domain3 = beforeLastDot(domain2);
  const ext2 = afterFirstDash(ext);
  const ext3 = afterFirstDash(ext2);
  return [
    ['HOST', domain],
    ['HOST2', domain2],
    ['HOST3', domain3],
    ['HOST4', beforeLastDot(domain3)],
    ['HOME', recipient.home],
    ['USER', recipient.user],
    ['LOCAL', recipient.local],
    ['RECIPIENT', recipientAddress(recipient)],
    ['SENDER', recipient.sender],
    ['EXT', ext],
    ['EXT2', ext2],
    ['EXT3', ext3],
    ['EXT4', afterFirstDash(ext3)],
    ['DTLINE', lines.deliveredTo],
    ['RPLINE', lines.returnPath],
    ['UFLINE', lines.from],
  ];
}

/** The domain without its last label; one without a dot stays as it is. */
function beforeLastDot(domain: Uint8Array): Uint8Array {
  const dot = findLastByte(domain, DOT);
  return dot < 0 ? domain : domain.subarray(0, dot);
}

/** What is behind the first dash; nothing if there is none. */
function afterFirstDash(ext: Uint8Array): Uint8Array {
  const dash = findByte(ext, DASH);
  return dash < 0 ? new Uint8Array(0) : ext.subarray(dash + 1);
}

/**
 * The sender of forwarded copies of mail to a list, to whose owner bounces go.
 * @param isVerp whether the queue is to make a sender of its own for each recipient
 */
export function ownerAddress({ local, domain }: LocalRecipient, isVerp: boolean): Uint8Array {
  return concatBytes([
    local,
    bytesOf(isVerp ? '-owner-@' : '-owner@'),
    domain,
    bytesOf(isVerp ? '-@[]' : ''),
  ]);
}
