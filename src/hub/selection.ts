// Which messages an operator means.

import { bytesOf, lowerCase, textOf } from '../core/bytes/bytes.ts';
import { domainOf } from '../core/format/domain-map.ts';
import type { MessageId, Queue, QueuedMessage } from '../queue/queue.ts';

/** Every criterion that is there has to hold; one without any means nothing. */
export interface Selection {
  readonly ids?: readonly MessageId[] | undefined;
  /** An address; `<>` is the sender of bounces. */
  readonly sender?: string | undefined;
  /** An address, `@domain`, or `local@` for any domain: of a recipient that is left to do. */
  readonly recipient?: string | undefined;
  /** Accepted longer ago than so many seconds. */
  readonly olderSeconds?: number | undefined;
  readonly all?: boolean | undefined;
}

/** Whether it means anything at all. */
export function isSelective({ ids, sender, recipient, olderSeconds, all }: Selection): boolean {
  return [ids, sender, recipient, olderSeconds].some((one) => one !== undefined) || all === true;
}

/** The selected messages, oldest first, or in the order of the ids; what comes in meanwhile is not among them. */
export async function* selectMessages(
  queue: Pick<Queue, 'list' | 'find'>,
  selection: Selection,
  nowMs: number,
): AsyncIterable<QueuedMessage> {
  const matches = createMatcher(selection, nowMs);
  if (selection.ids === undefined) {
    for await (const message of queue.list()) if (matches(message)) yield message;
    return;
  }
  for (const id of selection.ids) {
    const message = await queue.find(id);
    if (message !== undefined && matches(message)) yield message;
  }
}

function createMatcher(selection: Selection, nowMs: number): (message: QueuedMessage) => boolean {
  const { olderSeconds = 0 } = selection;
  const sender = selection.sender === undefined ? undefined : keyOf(selection.sender);
  const recipient = selection.recipient === undefined ? undefined : keyOf(selection.recipient);
  const domain = recipient?.startsWith('@') === true ? recipient.slice(1) : undefined;
  return (message) => {
    if (nowMs - message.birthMs < olderSeconds * 1000) return false;
    if (sender !== undefined && textOf(lowerCase(message.sender)) !== sender) return false;
    if (recipient === undefined) return true;
    return message.recipients.some(({ address, state }) => {
      if (state !== 'todo') return false;
      if (domain === undefined) {
        const text = textOf(lowerCase(address));
        return text === recipient || (recipient.endsWith('@') && text.startsWith(recipient));
      }
      const own = domainOf(address);
      return own !== undefined && textOf(lowerCase(own)) === domain;
    });
  };
}

/** An address from the command line, brackets or not, to be compared without regard to case. */
function keyOf(address: string): string {
  const bare = address.startsWith('<') && address.endsWith('>') ? address.slice(1, -1) : address;
  return textOf(lowerCase(bytesOf(Buffer.from(bare).toString('latin1'))));
}
