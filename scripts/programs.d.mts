// Types of programs.mjs, for the tests that read it.

/** Null client and server programs. */
export const PROGRAMS: readonly string[];
/** Long-running or interactive programs. */
export const HUB_PROGRAMS: readonly string[];
/** Bundle name to source of a worker thread. */
export const WORKERS: { readonly [name: string]: string };
/** Link name to program. */
export const LINKS: { readonly [name: string]: string };
/** Link name to program on a host with a hub. */
export const HUB_LINKS: { readonly [name: string]: string };
