// Hands messages to a program with qmail-remote's interface in place of the hub's own SMTP: one run for each recipient, the
// message on its descriptor 0, reports on 1 and 2. What they come to is core/policy/rspawn-report.ts.
// Invariants: one run at a time for each delivery, so that limits of connections hold; what is kept of the output is bounded.
// Source: the qmail-rspawn manual page; $QMAILREMOTE is notqmail's.

import { spawn } from 'node:child_process';
import { concatBytes } from '../core/bytes/bytes.ts';
import { domainOf } from '../core/format/domain-map.ts';
import type { Outcome } from '../core/policy/outcome.ts';
import { outcomeOfRemote, type RemoteEnd } from '../core/policy/rspawn-report.ts';
import { UNSENDABLE_ADDRESS } from '../core/policy/smtp-report.ts';
import type { RemoteDelivery, RemoteResult, RemoteTransport } from './transport.ts';

/** As much of a report as qmail-send takes. */
const OUTPUT_BYTES_MAX = 10_000;
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Sends by a program. */
export class ProgramTransport implements RemoteTransport {
  readonly #program: string;

  /** @param program its path, or its name to be found in PATH */
  constructor(program: string) {
    this.#program = program;
  }

  async deliver({ sender, recipients, message, onAnswer }: RemoteDelivery): Promise<RemoteResult> {
    // Nobody can tell from outside whether a partner has answered, so none is cut short.
    onAnswer?.();
    const outcomes: Outcome[] = [];
    for (const recipient of recipients) outcomes.push(await this.#send({ sender, recipient, message }));
    return { outcomes, contact: 'answered' };
  }

  async close(): Promise<void> {}

  #send(one: { sender: Uint8Array; recipient: Uint8Array; message: Uint8Array }): Promise<Outcome> {
    const words = wordsOf([domainOf(one.recipient) ?? new Uint8Array(0), one.sender, one.recipient]);
    if (words === undefined) return Promise.resolve(UNSENDABLE_ADDRESS);
    return new Promise((resolve) => {
      const parts: Uint8Array[] = [];
      let room = OUTPUT_BYTES_MAX;
      const end = (how: RemoteEnd) => resolve(outcomeOfRemote(how, concatBytes(parts)));
      const child = spawn(this.#program, words, { stdio: 'pipe' });
      child.on('error', () => end('not-started'));
      child.on('close', (code) => end(code ?? 'crashed'));
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (bytes: Buffer) => {
          if (room > 0) parts.push(bytes.subarray(0, room));
          room -= bytes.length;
        });
      // A program may end without reading all; its report counts.
      child.stdin.on('error', () => undefined);
      child.stdin.end(one.message);
    });
  }
}

/** As arguments; undefined if they cannot be some: Node has them as text, and NUL ends them. */
function wordsOf(words: readonly Uint8Array[]): string[] | undefined {
  if (words.some((word) => word.includes(0))) return undefined;
  try {
    return words.map((word) => UTF8.decode(word));
  } catch {
    return undefined;
  }
}
