// What is reported of an attempt to send by SMTP, in qmail-remote's words, and how a reply code is judged.
// `partner` is the address that we were connected to. Texts have one character per byte and LF line ends.
// Source: the qmail-remote manual page. Differs: one report per recipient instead of recipient and message reports.

import type { Outcome } from './outcome.ts';

const REPLY_BYTES_MAX = 5000;

/** A step of the session that the partner answered with a refusal. */
export type RefusedStep = 'greeting' | 'name' | 'sender' | 'data' | 'message';

/** The message was taken over by the partner. */
export function acceptedReport(partner: string, reply: string): Outcome {
  return { letter: 'K', text: withReply(`${partner} accepted message`, reply) };
}

/** The partner refused a recipient; `code` is the reply's. */
export function recipientReport(partner: string, code: number, reply: string): Outcome {
  const text = `${withReply(`${partner} does not like recipient`, reply)}Giving up on ${partner}.\n`;
  return { letter: letterOf(code), text };
}

/** The same as qmail-remote's own recipient report: `h` for good or `s` for now, with the text that is the partner's. */
export function recipientRefusal(partner: string, code: number, reply: string): string {
  const letter = letterOf(code) === 'D' ? 'h' : 's';
  return letter + withReply(`${partner} does not like recipient`, reply);
}

/** The message report after every recipient was refused; for good even if they were not, since each has its own report. */
export function givingUpReport(partner: string): Outcome {
  return { letter: 'D', text: `Giving up on ${partner}.\n` };
}

/**
 * The partner refused a step, with the reply's code. Greeting and name are never judged permanent: the message was
 * not even offered.
 */
export function refusalReport(partner: string, step: RefusedStep, code: number, reply: string): Outcome {
  switch (step) {
    case 'greeting':
      return { letter: 'Z', text: withReply(`Connected to ${partner} but greeting failed`, reply) };
    case 'name':
      return { letter: 'Z', text: withReply(`Connected to ${partner} but my name was rejected`, reply) };
    case 'sender':
      return {
        letter: letterOf(code),
        text: withReply(`Connected to ${partner} but sender was rejected`, reply),
      };
    case 'data':
      return { letter: letterOf(code), text: withReply(`${partner} failed on DATA command`, reply) };
    case 'message':
      return { letter: letterOf(code), text: withReply(`${partner} failed after I sent the message`, reply) };
  }
}

/** The connection was lost or timed out; if the end of the message was on its way the partner may have accepted it. */
export function diedReport(partner: string, endSent: boolean): Outcome {
  const duplicate = endSent ? ' Possible duplicate!' : '';
  const text = `Connected to ${partner} but connection died.${duplicate} (#4.4.2)\n`;
  return endSent ? { letter: 'Z', text, isUnknown: true } : { letter: 'Z', text };
}

/** The message is larger than the partner announced to accept. */
export function tooLargeReport(partner: string): Outcome {
  return { letter: 'D', text: `${partner} does not accept messages of that size. (#5.3.4)\n` };
}

/** The host takes no mail at all (RFC 7504). */
export function noMailReport(partner: string, reply: string): Outcome {
  return { letter: 'D', text: withReply(`Connected to ${partner} but it does not accept mail`, reply) };
}

/** TLS, or a certificate, is not as it must be. @param source who asks for it @param fault in words, may be empty */
export function tlsReport(partner: string, source: string, fault: string): Outcome {
  const reason = fault === '' ? '' : `: ${printable(fault)}`;
  return {
    letter: 'Z',
    text: `Connected to ${partner} but TLS is not as ${source} wants${reason}. (#4.7.5)\n`,
  };
}

/** A host must not be used for now, in words: what says so, and why. */
export function unusableHostReport(host: string, reason: string): Outcome {
  return { letter: 'Z', text: `I don't use ${printable(host)}: ${printable(reason)}. (#4.7.5)\n` };
}

/**
 * The partner did not take name and password, or they were not sent. Never permanent: that is for the administrator to mend.
 * @param fault in words, where the reply does not tell
 */
export function loginReport(partner: string, fault: string, reply: string): Outcome {
  const text = `Connected to ${partner} but could not log in`;
  if (fault === '') return { letter: 'Z', text: withReply(text, reply) };
  return { letter: 'Z', text: `${text}: ${fault}. (#4.7.0)\n` };
}

/** The address needs SMTPUTF8, which the partner does not have (RFC 6531 section 3.5). */
export function noUtf8Report(partner: string): Outcome {
  return { letter: 'D', text: `${partner} does not accept addresses that are not ASCII. (#5.6.7)\n` };
}

/** No host of the destination could be reached. */
export const NO_CONNECTION: Outcome = {
  letter: 'Z',
  text: "Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n",
};

/** A name could not be looked up for now. */
export const LOOKUP_FAILED: Outcome = {
  letter: 'Z',
  text: "Sorry, I couldn't find any host by that name. (#4.1.2)\n",
};

/** The mail exchangers have no addresses. */
export const NO_EXCHANGER: Outcome = {
  letter: 'D',
  text: "Sorry, I couldn't find a mail exchanger or IP address. (#5.4.4)\n",
};

/** The best mail exchanger is this host, which does not know the domain as its own. */
export const LISTED_AS_EXCHANGER: Outcome = {
  letter: 'D',
  text:
    "Sorry. Although I'm listed as a best-preference MX or A for that host,\n" +
    "it isn't in my control/locals file, so I don't treat it as local. (#5.4.6)\n",
};

/** The domain says that it takes no mail (RFC 7505). */
export const NULL_EXCHANGER: Outcome = {
  letter: 'D',
  text: 'Sorry, that domain does not accept mail. (#5.1.10)\n',
};

/** The address has no domain to send to. */
export const NO_DOMAIN: Outcome = { letter: 'D', text: 'Sorry, address must include host name. (#5.1.3)\n' };

/** The address cannot be put into an SMTP command. */
export const UNSENDABLE_ADDRESS: Outcome = {
  letter: 'D',
  text: 'Sorry, that address cannot be sent by SMTP. (#5.1.3)\n',
};

/** The sender's address cannot be put into an SMTP command. */
export const UNSENDABLE_SENDER: Outcome = {
  letter: 'D',
  text: "Sorry, the sender's address cannot be sent by SMTP. (#5.1.7)\n",
};

/** The host is unknown for good; bytes outside printable ASCII are shown as `?`. */
export function unknownHostReport(host: string): Outcome {
  return { letter: 'D', text: `Sorry, I couldn't find any host named ${printable(host, 33)}. (#5.1.2)\n` };
}

/**
 * Control/smtproutes asks for what this program does not speak. Temporary: that is for the administrator to mend.
 * @param protocol in capitals
 */
export function unspokenReport(host: string, protocol: string): Outcome {
  const text = `control/smtproutes asks for ${protocol} on the way to ${printable(host, 33)}, which I don't speak`;
  return { letter: 'Z', text: `Sorry, ${text}. (#4.3.5)\n` };
}

/** Everything but printable ASCII is shown as `?`. @param from the first code that is printable */
function printable(text: string, from = 32): string {
  let safe = '';
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    safe += code < from || code > 126 ? '?' : text.charAt(i);
  }
  return safe;
}

/** 500 and above is permanent; everything else, no code at all included, is temporary. */
function letterOf(code: number): 'D' | 'Z' {
  return code >= 500 ? 'D' : 'Z';
}

/** `text.` and the reply with its codes: no CR, `?` for NUL, LF at the end; cut after 5000 bytes. */
function withReply(text: string, reply: string): string {
  if (reply === '') return `${text}.\n`;
  const whole = reply.charAt(reply.length - 1) === '\n' ? reply : `${reply}\n`;
  let shown = '';
  for (let i = 0; i < whole.length && shown.length < REPLY_BYTES_MAX; i++) {
    const character = whole.charAt(i);
    if (character !== '\r') shown += character === '\0' ? '?' : character;
  }
  return `${text}.\nRemote host said: ${shown}`;
}
