// Looks names up as the null client does, by the resolver of the system (hosts file included), with a limit of time. Each look-up is
// a process of its own: a process waits at its end for the resolver's threads in it, and a resolver that hears nothing from several
// name servers takes half a minute.

import { execFile } from 'node:child_process';

/** Addresses of a name; `none` if it certainly has none; or why nobody can tell. */
export type LookupResult = { readonly addresses: readonly string[] } | 'none' | { readonly failed: string };

/** Looks a name up. Never rejects. */
export type LookUp = (name: string) => Promise<LookupResult>;

const LOOKUP_MS = 6000;
const SCRIPT = `require('node:dns').lookup(process.argv[1], { all: true }, (error, found) =>
  console.log(JSON.stringify({ code: error?.code, addresses: found?.map(({ address }) => address) })))`;

/** {@link LookUp} by the system. */
export function lookUpHost(name: string): Promise<LookupResult> {
  const limits = { timeout: LOOKUP_MS, killSignal: 'SIGKILL' } as const;
  return new Promise((resolve) => {
    execFile(process.execPath, ['-e', SCRIPT, '--', name], limits, (error, stdout) => {
      if (error?.killed === true) resolve({ failed: `no answer within ${LOOKUP_MS / 1000} seconds` });
      else if (error !== null) resolve({ failed: error.message.split('\n', 1)[0]! });
      else resolve(readAnswer(stdout));
    });
  });
}

function readAnswer(text: string): LookupResult {
  const { code, addresses } = JSON.parse(text) as { code?: string; addresses?: string[] };
  if (addresses !== undefined) return { addresses };
  return code === 'ENOTFOUND' ? 'none' : { failed: code ?? 'no answer' };
}
