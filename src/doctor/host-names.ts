// Looks names up as the null client does, by the resolver of the system (hosts file included), with a limit of time.

import { lookup } from 'node:dns/promises';
import { errorCode, reasonOf } from '../host/system-error.ts';
import { within } from './deadline.ts';

/** Addresses of a name; `none` if it certainly has none; or why nobody can tell. */
export type LookupResult = { readonly addresses: readonly string[] } | 'none' | { readonly failed: string };

/** Looks a name up. Never rejects. */
export type LookUp = (name: string) => Promise<LookupResult>;

const LOOKUP_MS = 6000;

/** {@link LookUp} by the system. */
export async function lookUpHost(name: string): Promise<LookupResult> {
  const asked = lookup(name, { all: true }).then(
    (found): LookupResult => ({ addresses: found.map(({ address }) => address) }),
    (error: unknown): LookupResult =>
      errorCode(error) === 'ENOTFOUND' ? 'none' : { failed: reasonOf(error) },
  );
  return within(asked, LOOKUP_MS, { failed: `no answer within ${LOOKUP_MS / 1000} seconds` });
}
