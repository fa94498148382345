// What a sender asks to be told about a message, as it travels with the envelope. Source: RFC 3461, sections 4.1 to 4.4.

/** Bits of {@link RecipientDsn.notify}. */
export const NOTIFY = { success: 1, failure: 2, delay: 4 } as const;

/** What the sender asked about a recipient; characters are bytes, each text at most 1000 long. */
export interface RecipientDsn {
  /** The {@link NOTIFY} bits together; 0 for NEVER, undefined if nothing was said. */
  readonly notify?: number | undefined;
  /** The original recipient as it stood in ORCPT: address type, semicolon, address in xtext. */
  readonly orcpt?: string | undefined;
}

/** What the sender asked for the whole message. */
export interface MessageDsn {
  /** How much of the message a report of failure returns. */
  readonly ret?: 'full' | 'hdrs' | undefined;
  /** The sender's own name for the envelope as it stood in ENVID: xtext, at most 1000 characters. */
  readonly envid?: string | undefined;
}

/** What was asked for a message and, by their places in the envelope, for its recipients. */
export interface EnvelopeDsn {
  readonly message: MessageDsn | undefined;
  readonly recipients: readonly (RecipientDsn | undefined)[];
}

/** What is asked about a recipient once the sender was told of a delay. */
export function withoutDelay(dsn: RecipientDsn): RecipientDsn {
  return dsn.notify === undefined ? dsn : { ...dsn, notify: dsn.notify & ~NOTIFY.delay };
}
