// What of a message fits on a line or two: its subject and the beginning of its body, for qbiff and maildirwatch.

import { ByteBuffer } from '../core/bytes/byte-buffer.ts';
import { HeaderSplitter, isFieldNamed } from '../core/message/header-field.ts';
import { fieldContent } from '../core/message/summary.ts';

const CHUNK_BYTES = 8192;

/**
 * The content of the last Subject field and then the body, with the empty line before it, cut at a number of bytes.
 * @param read fills a buffer from the message; returns how many bytes, 0 at its end; may throw
 * @param onField called for every header field; its argument is valid during the call only
 */
export function readMessageText(
  read: (buffer: Uint8Array) => number,
  maxBytes: number,
  onField: (field: Uint8Array) => void,
): Uint8Array {
  let subject: Uint8Array = new Uint8Array(0);
  const splitter = new HeaderSplitter((field) => {
    if (isFieldNamed(field, 'subject')) subject = Uint8Array.from(fieldContent(field));
    onField(field);
  });
  const text = new ByteBuffer(maxBytes);
  const buffer = new Uint8Array(CHUNK_BYTES);
  while (splitter.bodyStart === undefined || text.length < maxBytes) {
    const count = read(buffer);
    let body = buffer.subarray(0, count);
    if (splitter.bodyStart === undefined) {
      if (count === 0) splitter.receiveEnd();
      else body = body.subarray(splitter.receive(body));
      if (splitter.bodyStart === undefined) continue;
      text.append(subject);
      text.append(splitter.bodyStart);
    }
    if (count === 0) break;
    text.append(body);
  }
  return text.view().subarray(0, maxBytes);
}
