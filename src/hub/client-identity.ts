// Which client a certificate makes of a connection, by control/tlsclients.
// Invariant: a certificate counts only while it is valid, listed and not revoked; a list that cannot be understood lets nobody in.

import type { X509Certificate } from 'node:crypto';
import {
  isIdentityName,
  matchesSubject,
  parseTlsClientRule,
  type TlsClientRule,
} from '../core/format/tls-clients.ts';
import { commonNameOf, fingerprintOf } from '../host/certificate-facts.ts';
import { readControlList } from '../host/control.ts';
import { certificateFault } from '../host/tls-fault.ts';

/** A certificate that a client has shown, and proved to have the key of. */
export interface ShownCertificate {
  readonly certificate: X509Certificate;
  /** OpenSSL's code if control/tls/ca.pem did not issue it, or not for this purpose or time. */
  readonly fault: string | undefined;
}

/** Who the client is; or why it is nobody, in words behind "the certificate". */
export type IdentityVerdict =
  | { readonly allow: true; readonly identity: string }
  | { readonly allow: false; readonly reason: string };

/** Judges a certificate at a time, ms since 1970. */
export type JudgeCertificate = (shown: ShownCertificate, nowMs: number) => IdentityVerdict;

/**
 * The rule of `HOME/control/tlsclients`; undefined without the file: certificates are not asked for then.
 * @throws Error that names the file and the line, if one cannot be understood; SystemError if it cannot be read
 */
export function readTlsClients(home: string): JudgeCertificate | undefined {
  const lines = readControlList(home, 'tlsclients');
  if (lines === undefined) return undefined;
  const rules = lines.map((line) => {
    const rule = parseTlsClientRule(line);
    if (typeof rule === 'string') throw new Error(`Cannot use ${home}/control/tlsclients: ${rule}`);
    return rule;
  });
  return judgeByRules(rules);
}

/** What a certificate calls its holder, whether or not that is true: its common name, else its first name in DNS. */
export function claimedName(certificate: X509Certificate): string {
  return commonNameOf(certificate) ?? dnsNamesOf(certificate)[0] ?? '';
}

/** What stands for the name of a holder who has none. */
const DIGITS_SHOWN = 16;

function judgeByRules(rules: readonly TlsClientRule[]): JudgeCertificate {
  const listed = new Map<string, string | undefined>();
  const revoked = new Set<string>();
  for (const { kind, value, revokes, identity } of rules) {
    if (kind === 'subject') continue;
    if (revokes) revoked.add(value);
    else listed.set(value, identity);
  }
  const subjects = rules.filter(({ kind }) => kind === 'subject');
  return ({ certificate, fault }, nowMs) => {
    const digits = digitsOf(certificate);
    if (revoked.has(digits)) return refuse('is revoked');
    const date = dateFault(certificate, nowMs);
    if (date !== undefined) return refuse(date);
    const names = namesOf(certificate);
    const meansOne = (is: boolean) => (name: string) =>
      subjects.some(({ revokes, value }) => revokes === is && matchesSubject(value, name));
    if (names.some(meansOne(true))) return refuse('is revoked');
    // Who lists a certificate itself trusts nobody else about it.
    if (listed.has(digits))
      return { allow: true, identity: listed.get(digits) ?? names[0] ?? digits.slice(0, DIGITS_SHOWN) };
    if (fault !== undefined) return refuse(certificateFault(fault));
    const identity = names.find(meansOne(false));
    return identity === undefined ? refuse('is not in control/tlsclients') : { allow: true, identity };
  };
}

function refuse(reason: string): IdentityVerdict {
  return { allow: false, reason };
}

/** By our own clock, since a listed certificate need not come from an authority. */
function dateFault({ validFromDate, validToDate }: X509Certificate, nowMs: number): string | undefined {
  if (validToDate.getTime() < nowMs) return certificateFault('CERT_HAS_EXPIRED');
  return validFromDate.getTime() > nowMs ? certificateFault('CERT_NOT_YET_VALID') : undefined;
}

function digitsOf(certificate: X509Certificate): string {
  return fingerprintOf(certificate).slice('sha256:'.length);
}

/** All names that could be a host's, the common name first. */
function namesOf(certificate: X509Certificate): string[] {
  const common = commonNameOf(certificate);
  const names = [...(common === undefined ? [] : [common]), ...dnsNamesOf(certificate)];
  return [...new Set(names.map((name) => name.toLowerCase()).filter(isIdentityName))];
}

function dnsNamesOf({ subjectAltName = '' }: X509Certificate): string[] {
  // A name with a comma in it comes in quotes, and is none of a host.
  return subjectAltName.split(', ').flatMap((one) => (one.startsWith('DNS:') ? [one.slice(4)] : []));
}
