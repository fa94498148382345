// A hub's home whose index holds very many messages that wait, written by the store's own code, and as many destinations as wanted:
// each a relay on an address of this machine's loopback network (Linux answers on all of 127/8).

import { hash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesOf } from '../../src/core/bytes/bytes.ts';
import { parseDomainMap } from '../../src/core/format/domain-map.ts';
import { createDestinationOf } from '../../src/delivery/delivery.ts';
import type { IndexRow, MessageIndex } from '../../src/queue/message-index.ts';
import { openDirectIndex } from '../../src/queue/worker-index.ts';

const GROUP = 5000;
const SIZE = 2000;

/** Domain of a destination. */
export function domainNumber(number: number): string {
  return `d${number}.example`;
}

/** Lines for control/smtproutes: so many domains, each with a relay of its own, all of them on one port. */
export function routesTo(port: number, destinations: number): string[] {
  return Array.from({ length: destinations }, (_, n) => {
    const address = `127.${1 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`;
    return `${domainNumber(n)}:${address}:${port}`;
  });
}

/** Where messages wait, and until when. */
export interface Backlog {
  readonly home: string;
  readonly routes: readonly string[];
  readonly messages: number;
  /** Due times are spread evenly between these, ms since 1970. */
  readonly dueMs: readonly [from: number, to: number];
}

/** Fills the index of a home that has none. */
export async function fillQueue({ home, routes, messages, dueMs: [from, to] }: Backlog): Promise<void> {
  const destinationOf = createDestinationOf({
    smtproutes: parseDomainMap(routes.map((line) => bytesOf(line))),
  });
  const body = bytesOf(`Subject: waiting\n\n${`${'x'.repeat(71)}\n`.repeat(SIZE / 72)}`);
  await withIndex(home, async (index) => {
    for (let first = 1; first <= messages; first += GROUP) {
      const rows: IndexRow[] = [];
      for (let id = first; id < first + GROUP && id <= messages; id++) {
        const address = bytesOf(`u${id}@${domainNumber(id % routes.length)}`);
        const recipient = { address, channel: 'remote' as const };
        const due = from + Math.floor(((to - from) * id) / messages);
        const part = { dueMs: due, out: false, positions: [0], channel: 'remote' as const };
        rows.push({
          ...{ id, birthMs: Date.now() - 3_600_000, size: body.length, body, failures: [] },
          sender: bytesOf('bench@example.org'),
          recipients: [{ ...recipient, state: 'todo' }],
          parts: [{ ...part, destination: destinationOf(recipient) }],
        });
      }
      await index.insert(rows, 0);
    }
  });
  // As a hub that has looked at all of it writes down: else the next one begins with that.
  writeFileSync(join(home, 'queue/routes'), hash('sha256', routes.join('\n'), 'hex'));
}

/** Makes everything in the index of a home due now; no hub may run there. */
export async function makeAllDue(home: string): Promise<void> {
  await withIndex(home, async (index) => {
    await index.hasten(Date.now(), Date.now());
  });
}

async function withIndex(home: string, work: (index: MessageIndex) => Promise<void>): Promise<void> {
  mkdirSync(join(home, 'queue'), { recursive: true });
  const index = openDirectIndex(join(home, 'queue/index.sqlite'));
  await index.open();
  await work(index);
  await index.close();
}
