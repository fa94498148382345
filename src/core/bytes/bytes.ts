// Byte strings. Mail is bytes, not text: everything in core takes and returns Uint8Array, and turns to string only
// what the grammar says is ASCII. Only what an ES5 engine with typed arrays has is used here.

/** Bytes of a string whose characters are all U+0000 to U+00FF, one byte each (latin1). */
export function bytesOf(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** The bytes as a string, one character U+0000 to U+00FF per byte (latin1); inverse of {@link bytesOf}. */
export function textOf(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 4096) {
    text += String.fromCharCode.apply(null, bytes.subarray(i, i + 4096) as unknown as number[]);
  }
  return text;
}

/** One new array that holds all parts in order. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (let i = 0; i < parts.length; i++) length += parts[i]!.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (let i = 0; i < parts.length; i++) {
    whole.set(parts[i]!, at);
    at += parts[i]!.length;
  }
  return whole;
}

/** A copy that shares no memory with the argument. */
export function copyBytes(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes.length);
  copy.set(bytes);
  return copy;
}

/** Whether both hold the same bytes. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** The byte with ASCII letters A to Z turned to lower case. */
export function lowerByte(byte: number): number {
  return byte >= 65 && byte <= 90 ? byte + 32 : byte;
}

/** A copy with ASCII letters in lower case. */
export function lowerCase(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) copy[i] = lowerByte(bytes[i]!);
  return copy;
}

/** Index of the first such byte at or after `from`, or -1. */
export function findByte(bytes: Uint8Array, byte: number, from = 0): number {
  for (let i = from; i < bytes.length; i++) if (bytes[i] === byte) return i;
  return -1;
}

/** Index of the last such byte, or -1. */
export function findLastByte(bytes: Uint8Array, byte: number): number {
  for (let i = bytes.length - 1; i >= 0; i--) if (bytes[i] === byte) return i;
  return -1;
}

/** Whether `bytes` begins with `prefix`. */
export function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  if (bytes.length < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (bytes[i] !== prefix[i]) return false;
  return true;
}

/** The bytes before the first NUL, or all: what a C program would take for the string. A view. */
export function untilNul(bytes: Uint8Array): Uint8Array {
  const nul = findByte(bytes, 0);
  return nul < 0 ? bytes : bytes.subarray(0, nul);
}
