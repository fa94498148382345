// Whom a server takes no mail from: control/badmailfrom. Source: the qmail-smtpd manual page.

import { findLastByte } from '../bytes/bytes.ts';
import type { DomainMap } from '../format/domain-map.ts';

const AT = 64;

/**
 * Whether the sender, or what follows its last `@` with that `@`, is in the list. ASCII case is ignored, subdomains do not
 * count, and nothing matches the empty sender.
 */
export function isSenderBad(sender: Uint8Array, list: DomainMap): boolean {
  if (list.has(sender)) return true;
  const at = findLastByte(sender, AT);
  return at >= 0 && list.has(sender.subarray(at));
}
