// Failures of the environment (files, sockets, processes). They are thrown where they happen and caught once, at the
// edge of a program or server, where they always become a temporary failure: mail is kept when in doubt.

/** An operation on something outside the program that did not work. */
export class SystemError extends Error {
  override readonly name = 'SystemError';
  /** What was tried, in words: `read`, `switch to`. */
  readonly operation: string;
  /** What it was tried on: a path, an address. */
  readonly subject: string;

  constructor(operation: string, subject: string, cause: unknown) {
    super(`Cannot ${operation} ${subject}: ${reasonOf(cause)}`, { cause });
    this.operation = operation;
    this.subject = subject;
  }
}

/** The error's code (`ENOENT`), or undefined. */
export function errorCode(error: unknown): string | undefined {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return undefined;
}

/** What an error says, whatever was thrown. */
export function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
