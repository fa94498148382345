// Accounts of a hub's recipients, kept by a test: each message has one recipient and names it in its text, so that what came
// out somewhere can be told from what went in. accepted = delivered + bounced + queued must hold whatever happened.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Tally } from '../../src/queue/queue.ts';
import { ROOT } from './client-vectors.ts';
import { submit } from './hub-process.ts';

const SENDER = 'sender@hub.example';

/** What became of the recipients. */
export interface Balance {
  readonly delivered: readonly string[];
  readonly queued: readonly string[];
  /** Delivered more than once. */
  readonly twice: readonly string[];
}

/** See the head of this file. */
export class Ledger {
  readonly #home: string;
  readonly accepted = new Set<string>();

  constructor(home: string) {
    this.#home = home;
  }

  /** Submits a message for a recipient that had none so far; it must be taken. */
  async submit(port: number, recipient: string, padding = 0): Promise<void> {
    const message = `X-For: ${recipient}\n\n${'x'.repeat(padding)}\n`;
    assert.match(await submit(port, message, SENDER, recipient), /^K/);
    this.accepted.add(recipient);
  }

  /**
   * Compares with what came out; the hub may run or not.
   * @param messages texts that somebody took, notices of the hub about failures among them
   */
  check(messages: readonly string[]): Balance {
    const { atStart, accepted, delivered, failed, removed, queued } = this.#tally();
    assert.equal(atStart + accepted, delivered + failed + removed + queued, 'the tally of the hub');
    const waiting = new Set(this.#queued());
    const times = new Map<string, number>();
    for (const text of messages) {
      const recipient = /^X-For: (\S+)/m.exec(text)?.[1] ?? 'nobody';
      times.set(recipient, (times.get(recipient) ?? 0) + 1);
    }
    const lost = [...this.accepted].filter((one) => !times.has(one) && !waiting.has(one));
    const unknown = [...times.keys(), ...waiting].filter((one) => !this.accepted.has(one));
    assert.deepEqual({ lost, unknown }, { lost: [], unknown: [] });
    return {
      delivered: [...times.keys()],
      queued: [...waiting],
      twice: [...times.keys()].filter((one) => times.get(one)! > 1),
    };
  }

  #tally(): Tally {
    return JSON.parse(this.#ask('stats')).recipients;
  }

  #queued(): string[] {
    const lines = this.#ask('ls').split('\n').slice(0, -1);
    return lines.flatMap((line) => {
      const { sender, recipients }: { sender: string; recipients: { address: string; state: string }[] } =
        JSON.parse(line);
      // A notice is on its way to the sender; what it is about counts as queued.
      if (sender !== SENDER) return [];
      return recipients.filter(({ state }) => state === 'todo').map(({ address }) => address);
    });
  }

  #ask(question: string): string {
    const words = ['queue', question, '--home', this.#home, '--json'];
    const { stdout, stderr, status } = spawnSync(join(ROOT, 'bin/mini-qmail'), words, {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    assert.equal(status, 0, stderr);
    return stdout;
  }
}
