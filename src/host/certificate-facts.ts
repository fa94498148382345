// What tells certificates apart, as our files, log and pages write it.

import type { X509Certificate } from 'node:crypto';

/** `sha256:` and 64 hexadecimal digits in small letters, as control/tlsclients has it. */
export function fingerprintOf({ fingerprint256 }: X509Certificate): string {
  return `sha256:${fingerprint256.replaceAll(':', '').toLowerCase()}`;
}

/** The common name of the holder, the most exact one if there are several; undefined if there is none. */
export function commonNameOf({ subject }: X509Certificate): string | undefined {
  // Undefined, other than declared, for a certificate without one.
  return (subject ?? '')
    .split('\n')
    .findLast((part) => part.startsWith('CN='))
    ?.slice(3);
}
