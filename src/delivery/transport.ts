// How the driver asks for deliveries, local and remote. Both answer with one outcome per recipient and never reject:
// what goes wrong in the environment is a temporary outcome with its text.

import type { DeliveryIdentity } from '../core/format/maildir-name.ts';
import type { EnvelopeDsn } from '../core/policy/notification.ts';
import type { Outcome } from '../core/policy/outcome.ts';
import type { Destination } from '../core/policy/route.ts';
import type { Contact } from './scheduler.ts';

/** One message for one local recipient. */
export interface LocalDelivery {
  /** The same for each attempt at the same message and recipient. */
  readonly identity: DeliveryIdentity;
  readonly address: Uint8Array;
  readonly sender: Uint8Array;
  readonly message: Uint8Array;
}

/** Puts messages into mailboxes of this machine. */
export interface LocalTransport {
  /** When it resolves with K, the message is on stable storage. */
  deliver(delivery: LocalDelivery): Promise<Outcome>;
}

/** One message for recipients of one destination. */
export interface RemoteDelivery {
  readonly destination: Destination;
  readonly sender: Uint8Array;
  /** One or more; the caller keeps to the limit per transaction. */
  readonly recipients: readonly Uint8Array[];
  readonly message: Uint8Array;
  /** What the sender asked to be told, for hosts that can pass it on. */
  readonly dsn?: EnvelopeDsn;
  /** Asks to give up, which is done only as long as the partner has not answered. */
  readonly signal?: AbortSignal;
  /** Called once the partner answers, with the name of the best mail exchanger if one was looked up. */
  readonly onAnswer?: (exchanger?: string) => void;
}

/** The connection that a message went over. */
export interface Via {
  /** Address of the partner. */
  readonly host: string;
  /** The protocol, `TLSv1.3`; undefined in clear. */
  readonly tls: string | undefined;
}

/** What became of a delivery. */
export interface RemoteResult {
  /** In the order of the recipients; without meaning if it was cut short. */
  readonly outcomes: readonly Outcome[];
  /** Whether the destination answered, be it to refuse; it is cut short only when asked to. */
  readonly contact: Contact;
  /** Undefined if no host took the connection. */
  readonly via?: Via;
  /** Whether the partner will tell the sender of successes, if it took the message. */
  readonly passedOn?: boolean;
}

/** Hands messages to other hosts. */
export interface RemoteTransport {
  deliver(delivery: RemoteDelivery): Promise<RemoteResult>;
  /** Ends connections that are kept for later. */
  close(): Promise<void>;
}
