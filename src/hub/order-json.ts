// Orders and their results as they cross the admin socket and as `--json` prints them: a JSON object for the order; for each
// message a line with `id`, `result`, `sender`, addresses `delivered` and `left`, and `reason` of trouble; a last line `summary`.

import type { QueuedMessage, RecipientState } from '../queue/queue.ts';
import { ACTIONS, type Order, type OrderOutcome, type OrderResult, type OrderSummary } from './operator.ts';
import { showBytes } from './queued-message-json.ts';
import { isSelective } from './selection.ts';

/** The line of a message. */
export interface OrderResultJson {
  readonly id: number;
  readonly result: OrderResult;
  readonly sender: string;
  /** Recipients that had been delivered to when the order came. */
  readonly delivered: readonly string[];
  readonly left: readonly string[];
  readonly reason?: string;
  /** Number of the message that was queued anew. */
  readonly resentAs?: number;
}

/** The last line. */
export interface OrderSummaryJson {
  readonly summary: OrderSummary;
}

/** An order from the other side; undefined if it cannot be understood in full. */
export function parseOrder(text: string): Order | undefined {
  let order: Partial<Order> | null;
  try {
    order = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof order !== 'object' || order === null) return undefined;
  const { action, selection, dryRun = false, route, to } = order;
  if (!ACTIONS.some((one) => one === action) || typeof dryRun !== 'boolean') return undefined;
  if (typeof selection !== 'object' || selection === null || !isSelective(selection)) return undefined;
  const { ids, sender = '', recipient = '', olderSeconds = 0, all = false } = selection;
  if (ids !== undefined && !(Array.isArray(ids) && ids.every((id) => Number.isSafeInteger(id))))
    return undefined;
  if (![route, to].every((one) => one === undefined || typeof one === 'string')) return undefined;
  const areTyped = typeof sender === 'string' && typeof recipient === 'string' && typeof all === 'boolean';
  return areTyped && Number.isFinite(olderSeconds)
    ? { action: action!, selection, dryRun, route, to }
    : undefined;
}

/** A line with its LF. */
export function formatOrderResult(message: QueuedMessage, outcome: OrderOutcome): string {
  const { id, sender, recipients } = message;
  const { result, reason, resentAs } = outcome;
  const those = (wanted: RecipientState) =>
    recipients.filter(({ state }) => state === wanted).map(({ address }) => showBytes(address));
  const json: OrderResultJson = {
    ...{ id, result, sender: showBytes(sender), delivered: those('done'), left: those('todo') },
    ...(reason !== undefined && { reason }),
    ...(resentAs !== undefined && { resentAs }),
  };
  return `${JSON.stringify(json)}\n`;
}

/** The last line with its LF. */
export function formatOrderSummary(summary: OrderSummary): string {
  const json: OrderSummaryJson = { summary };
  return `${JSON.stringify(json)}\n`;
}
