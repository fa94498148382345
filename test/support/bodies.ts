// Bodies that a mail system is likely to change on their way, and what has to arrive of them.

/** By name; one character for each byte. */
export const BODIES: Readonly<Record<string, string>> = {
  plain: 'one\ntwo\n',
  dots: '.\n..\n.x\n\n.\nMAIL FROM:<evil@x.example>\n.\n',
  'long lines': `${'y'.repeat(998)}\n${'z '.repeat(3500)}\n.${'w'.repeat(1000)}\n`,
  'eight bits': '\xe9\xff\x80 \xc3\xa4\n',
  'bare CR and CR LF': 'a\r\nb\rc\r.\r\nd\r\r\ne\n',
  'no last line end': 'one\nlast',
  empty: '',
  'blank lines and blanks': '\n\n \n\tx \t\n\n\n',
  'From lines': 'From here\n>From there\n\nFrom joe@far.example Mon Nov 23 00:00:00 2026\n',
  'all of ASCII but NUL': `${Array.from({ length: 127 }, (_, i) => String.fromCharCode(i + 1)).join('')}\n`,
  'many lines': 'line of text\n'.repeat(20_000),
};

/** A message with the body, and something in its header to know it by. */
export function messageOf(name: string): string {
  return `From: joe@hub.example\nSubject: ${name}\n\n${BODIES[name]}`;
}

/** What has to be there of it where lines end in LF: each CR, LF or CR LF has become one line end, and the last line has one. */
export function storedOf(name: string): string {
  const lines = messageOf(name).replace(/\r\n|\r/g, '\n');
  return lines.endsWith('\n') ? lines : `${lines}\n`;
}
