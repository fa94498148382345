// A bounced message that is kept, as an operator's tools read it: for a program a JSON object a line, for people as the queue is listed.

import type { BouncedMessage } from './bounced-files.ts';
import { showBytes, shown } from './queued-message-json.ts';

/** What a line holds. */
export interface BouncedJson {
  readonly id: number;
  /** When it was accepted, and when it bounced, ISO 8601 in UTC. */
  readonly accepted: string;
  readonly bounced: string;
  /** Number of the message that told its sender. */
  readonly notice: number;
  readonly bytes: number;
  readonly sender: string;
  readonly recipients: readonly {
    readonly address: string;
    readonly channel: 'local' | 'remote';
    readonly state: 'failed';
    /** What the notice says of it. */
    readonly report: string;
  }[];
}

/** A line with its LF. */
export function toBouncedLine(message: BouncedMessage): string {
  const { id, birthMs, bouncedMs, noticeId, size, sender, recipients } = message;
  const json: BouncedJson = {
    id,
    accepted: new Date(birthMs).toISOString(),
    bounced: new Date(bouncedMs).toISOString(),
    notice: noticeId,
    bytes: size,
    sender: showBytes(sender),
    recipients: recipients.map(({ address, channel, report }) => ({
      address: showBytes(address),
      channel,
      state: 'failed',
      report: Buffer.from(report, 'latin1').toString(),
    })),
  };
  return `${JSON.stringify(json)}\n`;
}

/** A message as lines. */
export function bouncedForPeople({ id, bounced, bytes, sender, recipients }: BouncedJson): string {
  const rows = recipients.map(({ address, channel, report }) => {
    const lines = report.trim().split('\n').map(shown);
    return `  ${channel}\t${shown(address)}\tfailed: ${lines.join(' / ')}\n`;
  });
  return `${bounced}  #${id}  ${bytes}  <${shown(sender)}>  bounced\n${rows.join('')}`;
}
