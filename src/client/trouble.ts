// Failures of the system in a program that does several things one after the other: what it was at, in the words that its
// message has, is kept with the error, and the message is written in one place.

/** What went wrong, in words after "unable to", and why. */
export class Trouble extends Error {
  readonly action: readonly (string | Uint8Array)[];

  constructor(action: readonly (string | Uint8Array)[], cause: unknown) {
    super('Cannot go on', { cause });
    this.action = action;
  }
}

/** Does what `attempt` does; a failure is told as "unable to ACTION". @throws Trouble */
export function insist<T>(action: readonly (string | Uint8Array)[], attempt: () => T): T {
  try {
    return attempt();
  } catch (error) {
    throw error instanceof Trouble ? error : new Trouble(action, error);
  }
}
