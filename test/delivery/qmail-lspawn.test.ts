// Local deliveries as qmail-lspawn and qmail-local were observed to end under qmail-send, with the same users and files: each is asked
// of hub-lspawn, in the order of the log, and the user's mailbox has the same bytes afterwards.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { bytesOf } from '../../src/core/bytes/bytes.ts';
import { expandVerp } from '../../src/core/policy/verp.ts';
import { LocalHelper } from '../../src/delivery/local-helper.ts';
import { ROOT } from '../support/client-vectors.ts';
import { LocalHome, whyNoUser } from '../support/local-home.ts';

interface Vector {
  readonly name: string;
  readonly home_files: Readonly<Record<string, string>>;
  readonly inject: readonly { readonly sender: string }[];
  readonly message: string;
  readonly expect: { readonly log: readonly string[]; readonly mailbox: string | null };
}

/** A local delivery of a log. */
interface Logged {
  readonly address: string;
  /** Which message, counted from 0. */
  readonly message: number;
  /** Letter and text, as the log shows them. */
  outcome: string;
}

const VECTORS: readonly Vector[] = JSON.parse(
  readFileSync(new URL('../vectors/qmail-send.json', import.meta.url), 'utf8'),
);
/** What qmail-queue put on top of the messages. */
const TRACE = 'Received: (qmail @QP@ invoked by uid @UID@); @DATE@\n';
const LETTERS = { K: 'success', Z: 'deferral', D: 'failure' };
const EXPIRED = /I'm_not_going_to_try_again;_this_message_has_been_in_the_queue_too_long\.\/$/;

/** The deliveries of a log; one that qmail-send gave up for the message's age is what it was before. */
function deliveriesOf(log: readonly string[]): Logged[] {
  const started = new Map<string, Logged>();
  for (const line of log) {
    const start = /^starting delivery (\d+): msg @N(\d+)@ to local (.*)$/.exec(line);
    if (start !== null)
      started.set(start[1]!, { address: start[3]!, message: Number(start[2]) - 1, outcome: '' });
    const end = /^delivery (\d+): (\w+): (.*)$/.exec(line);
    const logged = end && started.get(end[1]!);
    if (!end || !logged) continue;
    const text = end[3]!.replace(EXPIRED, '');
    logged.outcome = `${text === end[3] ? end[2] : 'deferral'}: ${text}`;
  }
  return [...started.values()].filter(({ outcome }) => outcome !== '');
}

function show(text: string): string {
  return text.replace(/\n/g, '/').replace(/[^\x21-\x7e]|%/g, '_');
}

describe('hub-lspawn and qmail-local', { skip: whyNoUser() ?? false }, () => {
  let home: LocalHome;
  let hub: LocalHelper;
  before(() => {
    home = new LocalHome([
      '=joe:joe:UID:GID:HOME:::',
      '+joe-:joe:UID:GID:HOME:-::',
      '+:alias:UID:GID:HOME/alias:-::',
    ]);
    home.makeMaildir('alias');
    hub = new LocalHelper({ home: home.path, program: join(ROOT, 'bin/hub-lspawn') });
  });
  after(() => {
    hub.close();
    home.remove();
  });
  afterEach(() => home.empty());

  for (const { name, home_files, inject, message, expect } of VECTORS) {
    const deliveries = deliveriesOf(expect.log);
    if (deliveries.length === 0) continue;
    it(`do what was observed: ${name}`, async () => {
      for (const [file, content] of Object.entries(home_files)) home.put(file, content);
      for (const { address, message: number, outcome } of deliveries) {
        const to = bytesOf(address);
        const { letter, text } = await hub.deliver({
          identity: { birthMs: 0, message: number, recipient: 0 },
          address: to,
          sender: expandVerp(bytesOf(inject[number]!.sender), to),
          message: bytesOf(TRACE + message),
        });
        assert.equal(`${LETTERS[letter]}: ${show(text)}`, outcome, address);
      }
      if (expect.mailbox !== null)
        assert.equal(home.read('Mailbox').replace(/^(From \S+) .*$/gm, '$1 @CTIME@'), expect.mailbox);
    });
  }
});
