// What is asked of a connection's TLS, and whether a partner's certificate lives up to it. The handshake itself goes through
// with any certificate; what it showed is judged here, before anything of a message or a password is sent.
// Sources: RFC 7672 section 3.1 (TLSA records), RFC 8461 section 4.2 (MTA-STS), RFC 6125 (names in certificates).

import { createHash, type X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext, getCACertificates, type SecureContext, type TLSSocket } from 'node:tls';
import type { TlsaRecord } from '../core/protocol/dns/tlsa.ts';

/** What a certificate must show: validity for an authority and one of the names, or what TLSA records say. */
export type TlsCheck =
  | { readonly kind: 'names'; readonly names: readonly string[] }
  | { readonly kind: 'tlsa'; readonly names: readonly string[]; readonly records: readonly TlsaRecord[] };

/** What is asked of the connection to one host. */
export interface TlsDemand {
  /** Without TLS even if it is offered; with it if that works; or not at all without it. */
  readonly use: 'never' | 'offered' | 'demanded';
  readonly check?: TlsCheck;
  /** Whether the check's result is only told. */
  readonly isObserved?: true;
  /** Authorities that are believed (PEM), in place of the system's; the same array for the same ones. */
  readonly authorities?: readonly string[];
  /** Who asks for it, in words for reports. */
  readonly source: string;
}

const CHAIN_LENGTH_MAX = 10;
const MIN_VERSION = 'TLSv1.2';

/**
 * What is wrong with the partner's certificate, in words behind a colon; undefined if nothing is. A session that was taken
 * up again shows none: it passed when it began, see tls-tickets.ts.
 */
export function findTlsFault(socket: TLSSocket, check: TlsCheck, nowMs: number): string | undefined {
  if (check.kind === 'names' && socket.isSessionReused() && socket.authorized) return undefined;
  const chain = readChain(socket);
  const [leaf] = chain;
  if (leaf === undefined) return 'it showed no certificate';
  if (check.kind === 'tlsa') return findTlsaFault(chain, check, nowMs);
  if (!socket.authorized) return `its certificate is not valid: ${String(socket.authorizationError)}`;
  return hasName(leaf, check.names) ? undefined : `its certificate is not one of ${check.names.join(', ')}`;
}

/** The partner's certificate first, then who issued it, and so on. */
function readChain(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next = socket.getPeerX509Certificate();
  while (next !== undefined && chain.length < CHAIN_LENGTH_MAX) {
    const { fingerprint256 } = next;
    if (chain.some((one) => one.fingerprint256 === fingerprint256)) break;
    chain.push(next);
    next = next.issuerCertificate;
  }
  return chain;
}

function hasName(leaf: X509Certificate, names: readonly string[]): boolean {
  return names.some((name) =>
    isIP(name) === 0
      ? leaf.checkHost(name, { subject: 'never', partialWildcards: false }) !== undefined
      : leaf.checkIP(name) !== undefined,
  );
}

function findTlsaFault(
  chain: readonly X509Certificate[],
  { records, names }: Extract<TlsCheck, { kind: 'tlsa' }>,
  nowMs: number,
): string | undefined {
  const leaf = chain[0]!;
  // Neither names nor dates count then: the record says all (RFC 7672 section 3.1.1).
  if (records.some((record) => record.usage === 3 && isMeant(record, leaf))) return undefined;
  const anchor = chain.findIndex((one) =>
    records.some((record) => record.usage === 2 && isMeant(record, one)),
  );
  if (anchor < 0) return 'no TLSA record of it is about a certificate that it showed';
  const path = chain.slice(0, anchor + 1);
  if (!path.every((one, i) => i === 0 || isIssuer(one, path[i - 1]!))) {
    return 'the authority of its TLSA records did not issue its certificate';
  }
  if (!path.every((one) => isInTime(one, nowMs))) return 'its certificate is not valid at this time';
  return hasName(leaf, names) ? undefined : `its certificate is not one of ${names.join(', ')}`;
}

/** Whether a record is about a certificate (RFC 6698 section 2.1). */
function isMeant({ selector, matching, data }: TlsaRecord, certificate: X509Certificate): boolean {
  const part =
    selector === 0 ? certificate.raw : certificate.publicKey.export({ type: 'spki', format: 'der' });
  if (matching === 0) return part.equals(data);
  return createHash(matching === 1 ? 'sha256' : 'sha512')
    .update(part)
    .digest()
    .equals(data);
}

function isIssuer(authority: X509Certificate, issued: X509Certificate): boolean {
  return authority.ca && issued.checkIssued(authority) && issued.verify(authority.publicKey);
}

function isInTime({ validFromDate, validToDate }: X509Certificate, nowMs: number): boolean {
  return validFromDate.getTime() <= nowMs && nowMs <= validToDate.getTime();
}

const contexts = new WeakMap<readonly string[], SecureContext>();
let systemAuthorities: readonly string[] | undefined;
let anyContext: SecureContext | undefined;

/** The certificates that this system believes (PEM): node's own, those of the system, and those it was told to add. */
export function readSystemAuthorities(): readonly string[] {
  systemAuthorities ??= [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
  return systemAuthorities;
}

/** The settings for connections of such a demand; reading hundreds of certificates anew for each would cost too much. */
export function tlsContextFor({ check, authorities }: TlsDemand): SecureContext {
  if (check?.kind !== 'names') {
    anyContext ??= createSecureContext({ minVersion: MIN_VERSION });
    return anyContext;
  }
  const believed = authorities ?? readSystemAuthorities();
  let context = contexts.get(believed);
  if (context === undefined) {
    context = createSecureContext({ minVersion: MIN_VERSION, ca: [...believed] });
    contexts.set(believed, context);
  }
  return context;
}
