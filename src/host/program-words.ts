// What a short program is given by its caller: words and variables, as bytes.

import { argumentBytes, Environment } from './raw-arguments.ts';

/** Arguments and environment. */
export interface ProgramWords {
  /** Words after the program's name. */
  readonly args: readonly Uint8Array[];
  readonly env: Environment;
}

/** Reads them from the process; its argv is that of the build's launchers, see invocation.ts. */
export function readWords(): ProgramWords {
  return { args: argumentBytes(process.argv.slice(3)), env: new Environment(process.env) };
}
