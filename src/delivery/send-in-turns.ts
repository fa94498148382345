// Sends a message in as many transactions as a partner needs that takes some recipients of each and puts the others off with 452, as
// too many (RFC 5321 section 4.5.3.1.10): they would wait for the next attempt, and the next, for nothing.
// Invariant: no recipient that has an answer other than 452 is sent to again, and each further transaction follows one that was taken.

import type { SmtpMessage, SmtpResult, SmtpSession } from './smtp-session.ts';

/** The result is that of one transaction; `unsent` never holds once something was taken. */
export async function sendInTurns(session: SmtpSession, message: SmtpMessage): Promise<SmtpResult> {
  let turn = await session.send(message);
  const outcomes = [...turn.outcomes];
  const { unsent } = turn;
  for (;;) {
    const { tooMany } = turn;
    const isTaken = turn.outcomes.some(({ letter }) => letter === 'K');
    const left = outcomes.flatMap((outcome, at) => (tooMany?.has(outcome) ? [at] : []));
    if (left.length === 0 || !isTaken || !session.usable) return { ...turn, outcomes, unsent };
    if (turn.resetNeeded) await session.reset();
    turn = await session.send(pick(message, left));
    for (const [i, at] of left.entries()) outcomes[at] = turn.outcomes[i]!;
  }
}

/** The message for those of its recipients. */
function pick(message: SmtpMessage, indexes: readonly number[]): SmtpMessage {
  const { recipients, dsn } = message;
  return {
    ...message,
    recipients: indexes.map((at) => recipients[at]!),
    dsn: dsn && { ...dsn, recipients: indexes.map((at) => dsn.recipients[at]) },
  };
}
