// What nodemailer's SMTP connection has and its types do not show, in one place: the package is pinned, and a test fails when one
// of these is gone.

import type SMTPConnection from 'nodemailer/lib/smtp-connection';

/** What nodemailer says of a failure. */
export interface SmtpFailure {
  readonly code?: string | undefined;
  readonly command?: string | undefined;
  readonly response?: string | undefined;
  readonly responseCode?: number | undefined;
  readonly message?: string;
}

/** What nodemailer notes in the envelope that it sends. */
export interface SmtpEnvelope {
  /** The sender's refusal. */
  readonly mailError?: SmtpFailure;
  readonly rejectedErrors?: readonly (SmtpFailure & { readonly recipient?: string | undefined })[];
}

/** What nodemailer's connection has and its types do not show. */
export interface Inside {
  readonly _socket?: unknown;
  readonly _supportedExtensions: readonly string[];
  /** Replies that wait to be looked at. */
  readonly _responseQueue: readonly string[];
  /** Looks at the first of them. */
  readonly _processResponse: () => void;
  /** Recipients whose reply is to come. */
  readonly _recipientQueue: readonly string[];
  /** From STARTTLS on until its handshake begins. */
  readonly _plaintextEhlo?: string | false;
  /** Called once for each recipient, in their order; the package would give them all the same. */
  _getDsnRcptToArgs: () => string;
  /** Called for the reply that an LMTP server gives for one recipient behind the message. */
  _actionLMTPStream: (
    recipient: string,
    final: boolean,
    reply: string,
    done: (error: null, reply: string) => void,
  ) => void;
}

/** The connection's inside. */
export function insideOf(connection: SMTPConnection): Inside {
  return connection as unknown as Inside;
}

/** The reply that made a failure, one character per byte (UTF-8); empty without. */
export function replyOf(failure: SmtpFailure): string {
  return latin1(failure.response || '');
}

/** Text that the connection made of bytes, as one character per byte again (UTF-8). */
export function latin1(text: string): string {
  return Buffer.from(text).toString('latin1');
}
