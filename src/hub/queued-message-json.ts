// A queued message as an operator's tools read it. Addresses are bytes; they are shown as UTF-8, and bytes that are not
// become U+FFFD, so that a line is always valid JSON.

import type { QueuedMessage } from '../queue/queue.ts';

/** What a line holds. */
export interface QueuedMessageJson {
  readonly id: number;
  /** When it was accepted, ISO 8601 in UTC. */
  readonly accepted: string;
  readonly bytes: number;
  readonly sender: string;
  /** When each channel with work left is tried next, ISO 8601 in UTC. */
  readonly nextAttempt: { readonly local?: string; readonly remote?: string };
  readonly recipients: readonly {
    readonly address: string;
    readonly channel: 'local' | 'remote';
    readonly state: string;
  }[];
}

/** One line of JSON with its LF: id, times as ISO 8601 in UTC, size in bytes, sender, recipients with channel and state. */
export function toJsonLine(message: QueuedMessage): string {
  const { id, birthMs, size, sender, recipients, due } = message;
  const json: QueuedMessageJson = {
    id,
    accepted: new Date(birthMs).toISOString(),
    bytes: size,
    sender: showBytes(sender),
    nextAttempt: {
      ...(due.local !== undefined && { local: new Date(due.local).toISOString() }),
      ...(due.remote !== undefined && { remote: new Date(due.remote).toISOString() }),
    },
    recipients: recipients.map(({ address, channel, state }) => ({
      address: showBytes(address),
      channel,
      state,
    })),
  };
  return `${JSON.stringify(json)}\n`;
}

function showBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
}
