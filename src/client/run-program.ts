// The edge of a short program: runs it and ends the process with its exit code. What nobody caught is a temporary failure,
// so that mail stays where it is.

import { complain } from '../host/blocking-io.ts';

/** Runs a program to its end and exits. @param name for the message about what nobody caught */
export function runProgram(name: string, main: () => number | Promise<number>): void {
  void endOf(name, main).then((exit) => process.exit(exit));
}

async function endOf(name: string, main: () => number | Promise<number>): Promise<number> {
  try {
    return await main();
  } catch (error) {
    // What V8 throws when it cannot allocate so large an array.
    const what = error instanceof RangeError ? 'out of memory' : `internal bug: ${String(error)}`;
    complain(`${name}: fatal: ${what}\n`);
    return 111;
  }
}
