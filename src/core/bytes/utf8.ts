// Whether bytes are text in UTF-8. Source: RFC 3629 section 4.

/** Whether any byte is outside ASCII. */
export function hasHighByte(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! > 127) return true;
  return false;
}

/** Whether the bytes are well-formed UTF-8: shortest forms only, no surrogates, nothing beyond U+10FFFF. */
export function isUtf8(bytes: Uint8Array): boolean {
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes[at]!);
    if (length === 0 || at + length > bytes.length) return false;
    if (length > 1 && !isSecondByte(bytes[at]!, bytes[at + 1]!)) return false;
    for (let i = 2; i < length; i++) if (!isTail(bytes[at + i]!)) return false;
    at += length;
  }
  return true;
}

function sequenceLength(first: number): number {
  if (first < 0x80) return 1;
  if (first < 0xc2) return 0;
  if (first < 0xe0) return 2;
  if (first < 0xf0) return 3;
  return first < 0xf5 ? 4 : 0;
}

function isTail(byte: number): boolean {
  return byte >= 0x80 && byte <= 0xbf;
}

function isSecondByte(first: number, byte: number): boolean {
  if (!isTail(byte)) return false;
  if (first === 0xe0) return byte >= 0xa0;
  if (first === 0xed) return byte <= 0x9f;
  if (first === 0xf0) return byte >= 0x90;
  return first !== 0xf4 || byte <= 0x8f;
}
