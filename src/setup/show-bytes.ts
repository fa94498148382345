// Bytes of mail and of configuration files on a terminal: readable, in one line, and unable to command the terminal.

// Controls, and marks that change the direction of what follows them.
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\\]/gu;

/** The bytes as text, UTF-8 where they are; everything that cannot be printed as `\xHH` or `\u{HHHH}`, a backslash doubled. */
export function showBytes(bytes: Uint8Array): string {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const text = whole.toString('utf8');
  if (Buffer.from(text).equals(whole)) return text.replace(UNSAFE, escapeCharacter);
  return whole.toString('latin1').replace(/[^ -~]|\\/g, escapeCharacter);
}

function escapeCharacter(character: string): string {
  if (character === '\\') return '\\\\';
  const code = character.codePointAt(0) ?? 0;
  const digits = code.toString(16);
  return code < 256 ? `\\x${digits.padStart(2, '0')}` : `\\u{${digits}}`;
}
