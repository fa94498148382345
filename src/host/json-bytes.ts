// Byte strings in JSON. Mail and control files are bytes; most of them are text, but a program that reads the JSON must get
// back the very bytes where they are not.

/** A byte string as JSON has it: its text if it is UTF-8, else its bytes in base64. */
export type JsonBytes = string | { readonly base64: string };

/** The bytes for JSON; nothing is lost. */
export function jsonBytes(bytes: Uint8Array): JsonBytes {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const text = whole.toString('utf8');
  return Buffer.from(text).equals(whole) ? text : { base64: whole.toString('base64') };
}
