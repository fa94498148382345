// Where the hub finds its helper for local delivery. Longer paths than about 100 bytes cannot be bound.

/** The socket of a helper that the administrator runs, as root say. */
export function lspawnSocketPath(home: string): string {
  return `${home}/run/lspawn.sock`;
}

/** The socket of the helper that the hub itself runs when there is no other. */
export function ownLspawnSocketPath(home: string): string {
  return `${home}/run/lspawn-own.sock`;
}
