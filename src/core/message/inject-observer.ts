// What an onlooker of an injection is told, so that a person can be told why a message goes where it goes. The injection
// decides the same with and without one; byte strings are views, valid during the call only.

import type { FieldName } from './header-field.ts';

/** What rewriting did to an address; a sum of these. */
export const COMPLETED = { host: 1, domain: 2, plus: 4, route: 8 } as const;

/** Where an envelope sender comes from. */
export type SenderOrigin = 'option -f' | 'Return-Path' | 'user';

/** What became of a header field of the message. */
export type FieldFate = 'kept' | 'rewritten' | 'used and removed' | 'removed';

/** Names of fields that an injection may add, without a Resent- before them. */
export type GeneratedField = 'Date' | 'Message-ID' | 'From' | 'Cc' | 'Mail-Followup-To';

/** Somebody who looks on. */
export interface InjectObserver {
  /** A sender was found; the last one counts. @param completed sum of {@link COMPLETED} */
  onSender(sender: Uint8Array, origin: SenderOrigin, completed: number): void;
  /** A recipient was found, in the order of the envelope; `field` is undefined for an argument. */
  onRecipient(address: Uint8Array, field: FieldName | undefined, completed: number): void;
  /** A field of the message was seen that the injection knows. */
  onField(name: FieldName, fate: FieldFate): void;
  /** The last field has been seen; if the message is sent again, only Resent- fields name recipients. */
  onHeaderEnd(isResent: boolean): void;
  /** A field was added; `From` with what rewriting added to its address. */
  onGenerated(name: GeneratedField, completed: number): void;
}
