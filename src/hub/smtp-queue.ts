// The hub's own queue in the place of a queue program, for one message that comes by SMTP or LMTP.
// Invariant: success is said only when the message is committed; what is given up leaves nothing.

import type { QueueProgram } from '../client/queue-program.ts';
import { parseQueueEnvelope } from '../core/format/queue-envelope.ts';
import { MessageIdProbe } from '../core/message/message-id-probe.ts';
import type { EnvelopeDsn } from '../core/policy/notification.ts';
import { QUEUE_EXIT, type QueueResult } from '../core/policy/outcome.ts';
import type { Log } from '../host/log.ts';
import type { Intake, Queue, Recipient } from '../queue/queue.ts';
import { ShortageError } from './intake-guard.ts';

/** What a message comes with, and where it goes. */
export interface HubQueueProgramOptions {
  readonly queue: Pick<Queue, 'begin'>;
  /** Puts a recipient into its channel. */
  readonly classify: (address: Uint8Array) => Recipient;
  /** Address of the client. */
  readonly ip: string;
  /** Whether it came by LMTP. */
  readonly isLmtp: boolean;
  readonly log: Log;
}

/** See the head of this file. */
export class HubQueueProgram implements QueueProgram {
  readonly #options: HubQueueProgramOptions;
  readonly #intake: Intake;
  readonly #probe = new MessageIdProbe();
  #size = 0;

  constructor(options: HubQueueProgramOptions) {
    this.#options = options;
    this.#intake = options.queue.begin();
  }

  write(bytes: Uint8Array): Promise<void> | undefined {
    this.#size += bytes.length;
    this.#probe.receive(bytes);
    return this.#intake.write(bytes);
  }

  async finish(bytes: Uint8Array, dsn?: EnvelopeDsn): Promise<QueueResult> {
    const { classify, log, ip, isLmtp } = this.#options;
    const protocol = isLmtp ? 'LMTP' : 'SMTP';
    const envelope = parseQueueEnvelope(bytes);
    if (envelope === undefined) {
      this.#intake.abort();
      return resultOf(QUEUE_EXIT.envelopeFormat);
    }
    const { sender } = envelope;
    const recipients = envelope.recipients.map((address, index) => {
      const asked = dsn?.recipients[index];
      return asked === undefined ? classify(address) : { ...classify(address), dsn: asked };
    });
    const asked = dsn?.message;
    const all = asked === undefined ? { sender, recipients } : { sender, recipients, dsn: asked };
    try {
      const id = await this.#intake.commit(all);
      const { value } = this.#probe;
      const messageId = value.length > 0 ? value : undefined;
      const facts = { sender, recipients: recipients.length, bytes: this.#size, messageId, protocol };
      log.write('accepted', { id, ip, ...facts });
      return resultOf(QUEUE_EXIT.accepted, id);
    } catch (error) {
      if (error instanceof ShortageError)
        return resultOf(error.shortage === 'disk' ? QUEUE_EXIT.writeError : QUEUE_EXIT.noMemory);
      log.write('queue.trouble', { ip, sender, reason: String(error) });
      return resultOf(QUEUE_EXIT.writeError);
    }
  }

  async abort(): Promise<void> {
    this.#intake.abort();
  }
}

function resultOf(exit: number, id = 0): QueueResult {
  return { exit, writeFailed: false, pid: id };
}
