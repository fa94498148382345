// Local delivery as the hub has it: users of this machine, by hub-lspawn and qmail-local, and mailboxes of the hub.

import { hostname } from 'node:os';
import { LocalHelper } from '../delivery/local-helper.ts';
import { createLocalRouter } from '../delivery/local-users.ts';
import { MaildirTransport } from '../delivery/maildir.ts';
import type { LocalTransport } from '../delivery/transport.ts';
import type { Clock } from '../host/clock.ts';
import { readInvocation } from '../host/invocation.ts';
import { guardMailboxes, type KnownRecipients } from './known-recipients.ts';

/** The local transport of a hub. */
export interface LocalDelivery {
  readonly transport: LocalTransport;
  /** Lets a helper that was started end; what it delivers at the moment goes on to its end. */
  close(): void;
}

/** Where a hub delivers, and who is known there. */
export interface LocalDeliverySettings {
  readonly home: string;
  readonly clock: Clock;
  readonly known: KnownRecipients;
  /** What has the mail that is no user's; mailboxes of the hub if undefined. */
  readonly mailboxes?: LocalTransport | undefined;
}

/** Nothing is started before the first message for a user. */
export function openLocalDelivery({ home, clock, known, ...more }: LocalDeliverySettings): LocalDelivery {
  const mailboxes = more.mailboxes ?? new MaildirTransport({ home, clock, host: hostname() });
  // The helper that belongs to this very program, whatever else the home has.
  const users = new LocalHelper({ home, program: `${readInvocation().ownBin}/hub-lspawn` });
  return {
    transport: guardMailboxes(createLocalRouter({ home, mailboxes, users }), known),
    close: () => users.close(),
  };
}
