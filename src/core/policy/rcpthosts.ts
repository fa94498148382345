// Whom a server takes mail for: control/rcpthosts and morercpthosts.cdb. Source: the qmail-smtpd manual page.

import { findByte, lowerCase } from '../bytes/bytes.ts';
import { type DomainMap, domainOf } from '../format/domain-map.ts';

const DOT = 46;

/**
 * Whether mail for the recipient is accepted: no domain at all, or its domain or a suffix of it that begins with a dot is
 * among the hosts. ASCII case is ignored. The empty domain is never among them.
 * @param hosts undefined when there is no list, which accepts everybody
 * @param isInDatabase asked, for the same names in lower case, when the list has none of them; it may throw
 */
export function isRecipientAllowed(
  recipient: Uint8Array,
  hosts: DomainMap | undefined,
  isInDatabase: (key: Uint8Array) => boolean,
): boolean {
  if (hosts === undefined) return true;
  const domain = domainOf(recipient);
  if (domain === undefined) return true;
  if (domain.length === 0) return false;
  return hosts.search(domain) !== undefined || isAnySuffixIn(lowerCase(domain), isInDatabase);
}

function isAnySuffixIn(domain: Uint8Array, isInDatabase: (key: Uint8Array) => boolean): boolean {
  if (isInDatabase(domain)) return true;
  for (let dot = findByte(domain, DOT, 1); dot >= 0; dot = findByte(domain, DOT, dot + 1)) {
    if (isInDatabase(domain.subarray(dot))) return true;
  }
  return false;
}
