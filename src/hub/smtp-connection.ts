// One SMTP or LMTP session of the hub: qmail-smtpd's, in front of the hub's own queue.
// Invariant: when the hub stops, a message that is on its way in arrives or is given up, and between messages the client is told to
// come again; what a session may keep in memory for its recipients counts against one bound for all sessions.

import type { Socket } from 'node:net';
import type { Environment } from '../client/qmqp-submit.ts';
import type { QueueProgram } from '../client/queue-program.ts';
import { bytesOf } from '../core/bytes/bytes.ts';
import { parseQueueEnvelope } from '../core/format/queue-envelope.ts';
import type { Outcome } from '../core/policy/outcome.ts';
import type { MemoryBudget } from '../gate/memory-budget.ts';
import type { SmtpdIncident } from '../gate/run-smtpd.ts';
import { runScreenedSmtpd } from '../gate/screened-smtpd.ts';
import type { ReadSmtpdControls } from '../gate/smtpd-controls.ts';
import type { Clock } from '../host/clock.ts';
import type { Log } from '../host/log.ts';
import { openSocketInputOutput, type SocketInputOutput } from '../host/socket-io.ts';
import type { Queue, Recipient } from '../queue/queue.ts';
import { HubQueueProgram } from './smtp-queue.ts';

/** What all sessions of a listener have in common. */
export interface SmtpSessionServices {
  readonly home: string;
  readonly isLmtp: boolean;
  readonly queue: Pick<Queue, 'begin'>;
  /** Puts a recipient into its channel. */
  readonly classify: (address: Uint8Array) => Recipient;
  /** Whether the hub has a mailbox for a recipient, or it is somebody else's. @throws SystemError */
  readonly takes: (recipient: Uint8Array) => boolean;
  readonly readControls: ReadSmtpdControls;
  /** Memory for the recipients of messages that are on their way in. */
  readonly envelopes: MemoryBudget;
  readonly clock: Clock;
  readonly log: Log;
}

const NO_MAILBOX: Outcome = { letter: 'D', text: 'sorry, no mailbox here by that name (#5.1.1)' };
const TOO_MANY: Outcome = {
  letter: 'Z',
  text: 'too many recipients are on their way at the moment (#4.3.2)',
};
const STOPPING = bytesOf('421 the mail server is stopping, try again (#4.3.2)\r\n');
const STOPPING_LMTP = bytesOf('421 4.3.2 the mail server is stopping, try again\r\n');
/** What a recipient costs besides its bytes. */
const RECIPIENT_COST = 64;

/** See the head of this file. */
export class SmtpConnection {
  readonly #services: SmtpSessionServices;
  readonly #socket: Socket;
  readonly #io: SocketInputOutput;
  readonly #ip: string;
  readonly #env: Environment;
  /** Bytes of recipients that count against the bound. */
  #charged = 0;
  #isInMessage = false;
  #isStopping = false;
  /** Ends the read that is under way as if the client had closed. */
  #endRead: (() => void) | undefined;

  /** @param env what qmail-smtpd would find in its environment */
  constructor(socket: Socket, ip: string, env: Environment, services: SmtpSessionServices) {
    this.#socket = socket;
    this.#ip = ip;
    this.#env = env;
    this.#services = services;
    this.#io = openSocketInputOutput(socket);
  }

  /** Serves the session and closes the connection. Never rejects. */
  async serve(): Promise<void> {
    const { home, isLmtp, readControls, clock, classify, log } = this.#services;
    await runScreenedSmtpd({
      input: { read: () => this.#read() },
      output: this.#io.output,
      startTls: this.#io.startTls,
      ...{ env: this.#env, home, ownBin: '', clock, readControls, isLmtp, offersDsn: true },
      openQueue: () => this.#openQueue(),
      isOwnRecipient: (recipient) => classify(recipient).channel === 'local',
      checkRecipient: (recipient, _sender, count) => this.#checkRecipient(recipient, count),
      tell: (incident) => this.#note(incident),
      complain: (reason) => log.write('smtp.trouble', { ip: this.#ip, reason }),
    });
    this.#charge(-this.#charged);
    await this.#io.close(clock);
  }

  /** Lets a message that is on its way in arrive, and ends the session then. */
  stop(): void {
    this.#isStopping = true;
    if (this.#endRead !== undefined && !this.#isInMessage) void this.#sendAway();
  }

  /** Ends the session at once. */
  cut(): void {
    this.#socket.destroy();
  }

  #read(): Promise<Uint8Array | undefined> {
    if (this.#isStopping && !this.#isInMessage) return this.#sendAway();
    return new Promise((resolve) => {
      this.#endRead = () => resolve(undefined);
      void this.#io.input.read().then((bytes) => {
        this.#endRead = undefined;
        resolve(bytes);
      });
    });
  }

  /** Only between replies: the session waits for its client, which has read all of them. */
  async #sendAway(): Promise<undefined> {
    const endRead = this.#endRead;
    this.#endRead = undefined;
    await this.#io.output.write([this.#services.isLmtp ? STOPPING_LMTP : STOPPING]);
    endRead?.();
    return undefined;
  }

  #openQueue(): QueueProgram {
    const { queue, classify, log, isLmtp } = this.#services;
    const program = new HubQueueProgram({ queue, classify, log, ip: this.#ip, isLmtp });
    this.#isInMessage = true;
    return {
      write: (bytes) => program.write(bytes),
      finish: async (envelope, dsn) => {
        const result = await program.finish(envelope, dsn);
        this.#isInMessage = false;
        return result;
      },
      abort: async () => {
        this.#isInMessage = false;
        await program.abort();
      },
    };
  }

  async #checkRecipient(recipient: Uint8Array, count: number): Promise<Outcome | undefined> {
    if (!this.#services.takes(recipient)) return NO_MAILBOX;
    // The recipients of an earlier message are gone.
    if (count === 0) this.#charge(-this.#charged);
    return this.#charge(recipient.length + RECIPIENT_COST) ? undefined : TOO_MANY;
  }

  /** Counts memory as taken, or as free again; whether there was as much. */
  #charge(bytes: number): boolean {
    if (bytes < 0) this.#services.envelopes.give(-bytes);
    else if (!this.#services.envelopes.take(bytes)) return false;
    this.#charged += bytes;
    return true;
  }

  #note(incident: SmtpdIncident): void {
    const { log } = this.#services;
    const ip = this.#ip;
    switch (incident.type) {
      case 'recipient-refused': {
        const { sender, recipient } = incident;
        log.write('smtp.recipient-refused', { ip, sender, recipient, reply: replyText(incident) });
        break;
      }
      case 'message-refused': {
        const sender = incident.envelope && parseQueueEnvelope(incident.envelope)?.sender;
        log.write('refused', { ip, sender, reply: replyText(incident) });
        break;
      }
      case 'lost':
        if (this.#isInMessage)
          log.write('smtp.lost', { ip, reason: `${incident.code} while ${incident.where}` });
        break;
    }
  }
}

function replyText({ reply }: { readonly reply: { readonly code: number; readonly text: string } }): string {
  return `${reply.code} ${reply.text}`;
}
