// Variable envelope return paths: a sender `owner-@host-@[]` stands for one sender per recipient, so that a bounce
// tells by its address whom it is about. Source: the qmail-send manual page, addresses(5).

import { bytesOf, concatBytes, findLastByte } from '../bytes/bytes.ts';

const AT = 64;
const MARK = bytesOf('-@[]');
const EQUALS = bytesOf('=');

/** Whether the sender ends in `-@[]`. */
export function isVerp(sender: Uint8Array): boolean {
  const from = sender.length - MARK.length;
  if (from < 0) return false;
  for (let i = 0; i < MARK.length; i++) if (sender[from + i] !== MARK[i]) return false;
  return true;
}

/** The sender without `-@[]` at its end: the address that a bounce about several recipients goes to. */
export function withoutVerp(sender: Uint8Array): Uint8Array {
  return isVerp(sender) ? sender.subarray(0, sender.length - MARK.length) : sender;
}

/**
 * The sender for one recipient: `owner-@host-@[]` becomes `owner-RBOX=RHOST@host` for `RBOX@RHOST`. Without the mark,
 * or if either address has no `@` to split at, it is the sender as it is.
 */
export function expandVerp(sender: Uint8Array, recipient: Uint8Array): Uint8Array {
  if (!isVerp(sender)) return sender;
  const base = withoutVerp(sender);
  const senderAt = findLastByte(base, AT);
  const recipientAt = findLastByte(recipient, AT);
  if (senderAt < 0 || recipientAt < 0) return sender;
  return concatBytes([
    base.subarray(0, senderAt),
    recipient.subarray(0, recipientAt),
    EQUALS,
    recipient.subarray(recipientAt + 1),
    base.subarray(senderAt),
  ]);
}
