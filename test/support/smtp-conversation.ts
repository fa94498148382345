// A client and a server session without a connection between them: what the client says comes in the pieces it is given in.

import assert from 'node:assert/strict';
import { concatBytes, textOf } from '../../src/core/bytes/bytes.ts';
import type { EnvelopeDsn } from '../../src/core/policy/notification.ts';
import type { SmtpReply } from '../../src/core/protocol/smtp/replies.ts';
import { DEFAULT_EXTENSIONS, type SmtpExtensions } from '../../src/core/protocol/smtp/server-extensions.ts';
import {
  type SmtpServerEvent,
  SmtpServerSession,
  type SmtpServerSettings,
} from '../../src/core/protocol/smtp/server-session.ts';

/** What a client heard, and what it made happen. */
export interface Heard {
  /** Replies without the greeting. */
  readonly replies: string[];
  readonly messages: {
    readonly text: string;
    readonly envelope: string;
    readonly isRefused: boolean;
    readonly dsn?: EnvelopeDsn;
  }[];
  /** The last event, with where it happened; or what the session waits for. */
  readonly end: string;
}

/** What the server's side says where the session asks. */
export interface Answers {
  readonly toRecipient?: SmtpReply;
  readonly toMessage?: SmtpReply;
  readonly toEnd?: SmtpReply;
}

/** Consent. */
export const OK: SmtpReply = { code: 250, text: 'ok' };

/** Extensions, and settings besides, over those of a plain server. */
export function settingsOf(
  extensions: Partial<SmtpExtensions>,
  more: Partial<SmtpServerSettings> = {},
): SmtpServerSettings {
  const plain = { greeting: 'mx.example', sizeMax: 0, offersTls: false };
  return { ...plain, ...more, extensions: { ...DEFAULT_EXTENSIONS, ...extensions } };
}

/** Lets a client say these pieces and close, and answers what the session asks. */
export function converse(
  pieces: readonly Uint8Array[],
  settings = settingsOf({}),
  { toRecipient = OK, toMessage = { code: 354, text: 'go ahead' }, toEnd = OK }: Answers = {},
): Heard {
  const session = new SmtpServerSession(settings);
  const waiting = pieces.slice();
  const output: Uint8Array[] = [];
  const messages: Heard['messages'][number][] = [];
  let text = '';

  function answer(event: Exclude<SmtpServerEvent, { type: 'violation' }>): void {
    switch (event.type) {
      case 'recipient':
        session.decide(toRecipient, event.address);
        break;
      case 'message-start':
        text = `${event.protocol} ${event.helo}|`;
        session.decide(toMessage);
        break;
      case 'data':
        text += textOf(event.bytes);
        break;
      case 'message-end':
        messages.push({
          ...{ text, envelope: textOf(event.envelope), isRefused: event.isRefused },
          ...(event.dsn && { dsn: event.dsn }),
        });
        session.decide(toEnd);
        break;
      case 'start-tls':
        session.decide({ code: 220, text: 'ready' });
        session.secured();
        break;
    }
  }

  for (;;) {
    const event = session.next();
    if (event === 'need-output' || event === 'need-input') output.push(...session.takeOutput());
    if (event === 'need-input') {
      const piece = waiting.shift();
      if (piece === undefined) session.receiveEnd();
      else session.receive(piece);
    }
    if (event === 'closed' || (typeof event === 'object' && event.type === 'violation')) {
      output.push(...session.takeOutput());
      const replies = textOf(concatBytes(output)).split('\r\n');
      assert.equal(replies.shift(), `220 mx.example ${settings.isLmtp ? 'LMTP' : 'ESMTP'}`);
      assert.equal(replies.pop(), '');
      assert.equal(session.next(), 'closed');
      const end = event === 'closed' ? 'closed' : `${event.code} while ${event.where}`;
      return { replies, messages, end };
    }
    if (typeof event === 'object') answer(event);
  }
}
