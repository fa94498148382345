// Looks at all messages of the embedded queue, in both of its homes. Whoever lists them lets others have their turn.

import type { Entry } from './entry.ts';
import type { MessageIndex } from './message-index.ts';
import type { QueuedMessage, QueueOverview } from './queue.ts';

const PAGE = 1000;

/** What the index has, then what is in memory; a message that moves meanwhile is listed once. */
export async function* listMessages(
  entries: Iterable<Entry>,
  index: Pick<MessageIndex, 'list'>,
): AsyncIterable<QueuedMessage> {
  const inMemory = [...entries];
  const seen = new Set(inMemory.map(({ origin }) => origin.id));
  let after = 0;
  for (;;) {
    const page = await index.list(after, PAGE);
    for (const message of page) if (!seen.has(message.id)) yield message;
    if (page.length < PAGE) break;
    after = page.at(-1)!.id;
  }
  for (const [i, entry] of inMemory.entries()) {
    yield entry.queued();
    if (i % PAGE === PAGE - 1) await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** The same of the index and of messages in memory together. */
export function addToOverview(entries: Iterable<Entry>, ofIndex: QueueOverview): QueueOverview {
  let { held, oldestMs } = ofIndex;
  for (const { origin, isHeldAnywhere } of entries) {
    if (isHeldAnywhere) held++;
    oldestMs = Math.min(oldestMs ?? origin.birthMs, origin.birthMs);
  }
  return { held, oldestMs };
}
