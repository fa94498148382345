// A queued message as an operator's tools read it. Addresses are bytes; they are shown as UTF-8, and bytes that are not
// become U+FFFD, so that a line is always valid JSON.

import { isChosenKey, readChosenKey } from '../core/policy/route.ts';
import type { QueuedMessage } from '../queue/queue.ts';
import { HELD_MS } from '../queue/queue.ts';

/** What a line holds. */
export interface QueuedMessageJson {
  readonly id: number;
  /** When it was accepted, ISO 8601 in UTC. */
  readonly accepted: string;
  readonly bytes: number;
  readonly sender: string;
  /** When each channel with work left is tried next, ISO 8601 in UTC. */
  readonly nextAttempt: { readonly local?: string; readonly remote?: string };
  /** There if an operator holds it: then nothing of it is tried. */
  readonly held?: true;
  /** There if an operator sends it another way than the routes say: a relay with its port, or `mx`. */
  readonly route?: string;
  readonly recipients: readonly {
    readonly address: string;
    readonly channel: 'local' | 'remote';
    readonly state: string;
  }[];
}

/** One line of JSON with its LF: id, times as ISO 8601 in UTC, size in bytes, sender, recipients with channel and state. */
export function toJsonLine(message: QueuedMessage): string {
  const { id, birthMs, size, sender, recipients, due } = message;
  const chosen = readChosenKey(message.destinations.find(isChosenKey) ?? '');
  const json: QueuedMessageJson = {
    id,
    accepted: new Date(birthMs).toISOString(),
    bytes: size,
    sender: showBytes(sender),
    nextAttempt: {
      ...(isTime(due.local) && { local: new Date(due.local).toISOString() }),
      ...(isTime(due.remote) && { remote: new Date(due.remote).toISOString() }),
    },
    ...((due.local === HELD_MS || due.remote === HELD_MS) && { held: true }),
    ...(chosen && { route: chosen.routed ? chosen.key.slice(1) : 'mx' }),
    recipients: recipients.map(({ address, channel, state }) => ({
      address: showBytes(address),
      channel,
      state,
    })),
  };
  return `${JSON.stringify(json)}\n`;
}

function isTime(dueMs: number | undefined): dueMs is number {
  return dueMs !== undefined && dueMs !== HELD_MS;
}

/** Bytes as UTF-8. */
export function showBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
}

/** Text from outside for a terminal: no control character stays, so that it neither splits a line nor gives commands. */
export function shown(text: string): string {
  let safe = '';
  for (const character of text) {
    const code = character.codePointAt(0)!;
    safe += code < 32 || (code > 126 && code < 160) ? '?' : character;
  }
  return safe;
}
