// The conversation with a client that may not send mail: friendly words for all that leads nowhere, the refusal for the rest.
// Source: the rblsmtpd page of cr.yp.to/ucspi-tcp.

import { bytesOf, concatBytes } from '../../bytes/bytes.ts';
import { CommandReader } from './command-reader.ts';

const NAME = 'rblsmtpd.local\r\n';
const GREETING = bytesOf(`220 ${NAME}`);
const ACCEPTANCE = bytesOf(`250 ${NAME}`);
const GOODBYE = bytesOf(`221 ${NAME}`);
const ACCEPTED = ['helo', 'ehlo', 'mail', 'rset', 'noop'];
const COMMAND_LENGTH_MAX = 64;

/** One such conversation; what it says is to be written before more is received. */
export class RefusingSession {
  readonly #refusal: Uint8Array;
  readonly #reader = new CommandReader(COMMAND_LENGTH_MAX);
  #output: Uint8Array[] = [GREETING];
  #isOver = false;

  /** @param refusal the reply, without its end */
  constructor(refusal: Uint8Array) {
    this.#refusal = concatBytes([refusal, bytesOf('\r\n')]);
  }

  /** Whether the client has said goodbye. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Takes what came. */
  receive(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && !this.#isOver; ) {
      at = this.#reader.take(bytes, at);
      const verb = this.#reader.takeCommand()?.verb;
      if (verb === undefined) continue;
      this.#isOver = verb === 'quit';
      this.#output.push(this.#replyTo(verb));
    }
  }

  /** What is to be sent now. */
  takeOutput(): Uint8Array[] {
    const output = this.#output;
    this.#output = [];
    return output;
  }

  #replyTo(verb: string): Uint8Array {
    if (verb === 'quit') return GOODBYE;
    return ACCEPTED.indexOf(verb) >= 0 ? ACCEPTANCE : this.#refusal;
  }
}
