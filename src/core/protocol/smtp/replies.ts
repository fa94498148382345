// What an SMTP server says, in the words of qmail-smtpd: the enhanced code is at the end of the text, in brackets.

import type { Outcome } from '../../policy/outcome.ts';

/** One reply of one line; characters are bytes, U+0000 to U+00FF. */
export interface SmtpReply {
  readonly code: number;
  readonly text: string;
}

/** Replies that are the same each time. */
export const REPLIES = {
  ok: { code: 250, text: 'ok' },
  flushed: { code: 250, text: 'flushed' },
  verify: { code: 252, text: "send some mail, i'll try my best" },
  goAhead: { code: 354, text: 'go ahead' },
  readyForTls: { code: 220, text: 'ready for TLS' },
  noControls: { code: 421, text: 'unable to read controls (#4.3.0)' },
  tooManyErrors: { code: 421, text: 'too many errors (#4.7.0)' },
  timeout: { code: 451, text: 'timeout (#4.4.2)' },
  noQueue: { code: 451, text: 'qqt failure (#4.3.0)' },
  tooManyRecipients: { code: 452, text: 'sorry, that message has too many recipients (#4.5.3)' },
  noTls: { code: 454, text: 'TLS not available now (#4.7.0)' },
  tooLong: { code: 500, text: 'command line too long (#5.5.2)' },
  notLmtp: { code: 500, text: 'this is LMTP, say LHLO (#5.5.1)' },
  nulInCommand: { code: 500, text: 'NUL in a command (#5.5.2)' },
  bareLfInCommand: { code: 500, text: 'bare LF at the end of a command (#5.5.2)' },
  badParameter: { code: 501, text: 'syntax error in a parameter (#5.5.4)' },
  unimplemented: { code: 502, text: 'unimplemented (#5.5.1)' },
  mailFirst: { code: 503, text: 'MAIL first (#5.5.1)' },
  recipientFirst: { code: 503, text: 'RCPT first (#5.5.1)' },
  tlsAlready: { code: 503, text: 'TLS is active already (#5.5.1)' },
  bareCr: { code: 550, text: 'bare CR in the message (#5.6.11)' },
  tooLarge: { code: 552, text: 'sorry, that message size exceeds my databytes limit (#5.3.4)' },
  badSender: { code: 553, text: 'sorry, your envelope sender is in my badmailfrom list (#5.7.1)' },
  notAllowed: { code: 553, text: "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)" },
  needsUtf8: { code: 553, text: 'sorry, an address like that needs SMTPUTF8 (#5.6.7)' },
  notUtf8: { code: 553, text: 'sorry, that address is not in UTF-8 (#5.6.7)' },
  looping: { code: 554, text: 'too many hops, this message is looping (#5.4.6)' },
  outOfTurn: { code: 554, text: 'you spoke out of turn (#5.5.0)' },
  syntax: { code: 555, text: 'syntax error (#5.5.4)' },
  unknownParameter: { code: 555, text: 'unknown parameter (#5.5.4)' },
} as const;

/** Words in which versions of qmail differ. */
export const WORDS_OF = {
  netqmail: {
    help: { code: 214, text: 'netqmail home page: http://qmail.org/netqmail' },
    bareLf: { code: 451, text: 'See http://pobox.com/~djb/docs/smtplf.html.' },
  },
  notqmail: {
    help: { code: 214, text: 'notqmail home page: https://notqmail.org' },
    bareLf: { code: 451, text: 'See https://cr.yp.to/docs/smtplf.html.' },
  },
} as const;

/**
 * A reply with its enhanced code in front, for protocols that ask for that (RFC 2034): the one that the text has at its end in
 * brackets, else the general one of its class. A greeting, and what asks for more, has none.
 */
export function withCodeInFront({ code, text }: SmtpReply): SmtpReply {
  const last = text.length - 1;
  let open = text.charAt(last) === ')' ? last : 0;
  while (open > 0 && text.substring(open, open + 3) !== ' (#') open--;
  if (open > 0) return { code, text: `${text.substring(open + 3, last)} ${text.substring(0, open)}` };
  const letter = Math.floor(code / 100);
  return code === 220 || letter === 3 ? { code, text } : { code, text: `${letter}.0.0 ${text}` };
}

/**
 * The reply to a refusal: 451 for now, 554 (or what is given) for good. Line ends in its text, which may come from another
 * program, become spaces: they would begin another reply.
 */
export function refusalReply(outcome: Outcome, permanentCode = 554): SmtpReply {
  let text = '';
  for (let i = 0; i < outcome.text.length; i++) {
    const character = outcome.text.charAt(i);
    text += character === '\r' || character === '\n' ? ' ' : character;
  }
  return { code: outcome.letter === 'D' ? permanentCode : 451, text };
}
