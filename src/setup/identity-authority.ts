// The hub's side of identities: its authority and its own certificate, and which hosts' requests were signed or revoked.
// Invariant: what is revoked stays so, since lines are only ever added to control/tlsclients and one with - wins; a
// certificate is given out only when the hub takes it and its copy is kept.

import { createPublicKey, type X509Certificate } from 'node:crypto';
import * as fs from 'node:fs';
import { isIP } from 'node:net';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import {
  isIdentityName,
  matchesSubject,
  parseFingerprint,
  parseTlsClientRule,
  type TlsClientRule,
} from '../core/format/tls-clients.ts';
import { commonNameOf, fingerprintOf } from '../host/certificate-facts.ts';
import { readControlLine, readControlList } from '../host/control.ts';
import { SystemError } from '../host/system-error.ts';
import {
  appendLine,
  giveToHub,
  identityPaths,
  makeIdentityFolder,
  makeKey,
  readCertificate,
  readKey,
  refuseExisting,
  writeKey,
  writeNew,
  writeOver,
} from './identity-files.ts';
import { checkRequest, derOf, issueCertificate, pemOf } from './identity-issue.ts';
import { SetupRefusal } from './setup-refusal.ts';

/** Where, and when. */
export interface AuthorityPlace {
  readonly home: string;
  readonly nowMs: number;
}

/** A host whose certificate the hub has issued, or that control/tlsclients has a line for. */
export interface KnownIdentity {
  readonly name: string;
  readonly state: 'accepted' | 'revoked' | 'expired' | 'not listed';
  /** `sha256:` and hexadecimal digits; undefined for a line about names. */
  readonly fingerprint: string | undefined;
  /** When its certificate ends, ms since 1970; undefined if the hub did not issue it. */
  readonly untilMs: number | undefined;
}

/** How long certificates of hosts and of the hub are valid, unless the caller says otherwise. */
export const DAYS_DEFAULT = 825;
const AUTHORITY_DAYS = 7305;
const CLIENTS_HEAD =
  '# Certificates by which the hub takes mail; see mini-qmail-identity(8).\n# A line with - before it revokes.\n';

/**
 * Makes the hub's authority, its own key and certificate, and a list of clients that is empty.
 * @param names that the hub is called by, control/me besides @returns the names @throws SetupRefusal; SystemError
 */
export function initAuthority({ home, nowMs }: AuthorityPlace, names: readonly string[]): string[] {
  const paths = identityPaths(home);
  const { authority, authorityKey, hub, hubKey } = paths;
  refuseExisting([authority, authorityKey, hub, hubKey]);
  const all = hubNames(home, names);
  makeIdentityFolder(paths.folder);
  const key = makeKey();
  const subject = `Mail of ${all[0]}`.slice(0, COMMON_NAME_MAX);
  const root = issueCertificate(
    { key },
    { kind: 'authority', subject, publicKey: createPublicKey(key), names: [], nowMs, days: AUTHORITY_DAYS },
  );
  const own = makeKey();
  const certificate = issueCertificate(
    { key, certificate: root },
    { ...hubOptions(all, nowMs), publicKey: createPublicKey(own) },
  );
  writeKey(authorityKey, key);
  writeKey(hubKey, own);
  giveToHub(home, hubKey);
  if (!fs.existsSync(paths.clients)) writeNew(paths.clients, CLIENTS_HEAD);
  writeNew(authority, pemOf('CERTIFICATE', root));
  writeNew(hub, pemOf('CERTIFICATE', certificate));
  return all;
}

/** Makes a new certificate for the hub's key. @param names in place of the present ones, if any @returns the names */
export function renewHub({ home, nowMs }: AuthorityPlace, names: readonly string[]): string[] {
  const { hub, hubKey } = identityPaths(home);
  const all = names.length > 0 ? hubNames(home, names) : namesOf(readCertificate(hub));
  if (all.length === 0) throw new SetupRefusal(`${hub} has no names: give them with --name`);
  const publicKey = createPublicKey(readKey(hubKey));
  const certificate = issueCertificate(readAuthority(home), { ...hubOptions(all, nowMs), publicKey });
  writeOver(hub, pemOf('CERTIFICATE', certificate));
  return all;
}

/** What to sign. */
export interface SignOptions {
  /** The request, PEM or DER. */
  readonly request: Uint8Array;
  /** In place of the name that the request asks for. */
  readonly name: string | undefined;
  readonly days: number;
}

/** Issues a certificate for a host, and has the hub take mail by it. @returns the certificate, PEM */
export function signRequest(place: AuthorityPlace, { request, name, days }: SignOptions): string {
  const { home, nowMs } = place;
  const { issued, clients } = identityPaths(home);
  const text = Buffer.from(request).toString('latin1');
  const der = derOf(['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'], text) ?? request;
  const { subject, publicKey } = checkRequest(der);
  const host = (name ?? subject ?? '').toLowerCase();
  if (!isIdentityName(host) || host.length > COMMON_NAME_MAX)
    throw new SetupRefusal(
      `"${host.slice(0, 100)}" is not a name of a host of at most ${COMMON_NAME_MAX} letters, digits, dots and hyphens: give another with --name`,
    );
  if (readRules(home).some((rule) => rule.revokes && isAbout(rule, host)))
    throw new SetupRefusal(
      `A line of ${clients} revokes the name ${host}: give another, or take the line out`,
    );
  const options = { kind: 'client', subject: host, publicKey, names: [host], nowMs, days } as const;
  const pem = pemOf('CERTIFICATE', issueCertificate(readAuthority(home), options));
  makeIdentityFolder(issued);
  const certificate = readCertificateText(pem);
  writeNew(`${issued}/${certificate.serialNumber}.pem`, pem);
  appendLine(clients, `fingerprint ${fingerprintOf(certificate)} ${host}`);
  return pem;
}

/**
 * Has the hub take no mail any more by a certificate, or by those of a name: each that was issued, and the name itself where
 * a line about names means it. @returns what was revoked
 */
export function revokeIdentity(home: string, what: string): string[] {
  const { clients } = identityPaths(home);
  const digits = parseFingerprint(what);
  if (digits !== undefined) {
    appendLine(clients, `-fingerprint sha256:${digits}`);
    return [`sha256:${digits}`];
  }
  const name = what.toLowerCase();
  const known = listIdentities({ home, nowMs: 0 }).filter((one) => one.name === name);
  const rules = readRules(home).filter((rule) => isAbout(rule, name));
  if (known.length + rules.length === 0)
    throw new SetupRefusal(`Nothing is known of "${what}": see mini-qmail identity list`);
  const revoked = known.flatMap(({ fingerprint, state }) =>
    fingerprint === undefined || state === 'revoked' ? [] : [fingerprint],
  );
  for (const fingerprint of revoked) appendLine(clients, `-fingerprint ${fingerprint} ${name}`);
  if (rules.length > 0 && !rules.some(({ revokes }) => revokes)) {
    appendLine(clients, `-subject ${name}`);
    revoked.push(name);
  }
  if (revoked.length === 0) throw new SetupRefusal(`${name} is revoked already`);
  return revoked;
}

/** All that were issued or are listed, by name. @throws SetupRefusal if a line cannot be understood; SystemError */
export function listIdentities({ home, nowMs }: AuthorityPlace): KnownIdentity[] {
  const rules = readRules(home);
  const issued = readIssued(home).map((certificate) => {
    const fingerprint = fingerprintOf(certificate);
    const untilMs = certificate.validToDate.getTime();
    return { name: namesOf(certificate)[0] ?? '?', fingerprint, untilMs };
  });
  const names = new Map(
    rules.flatMap(({ value, identity }) => (identity === undefined ? [] : [[value, identity]])),
  );
  const listed = rules
    .filter(
      ({ kind, value }) => kind === 'fingerprint' && !issued.some((one) => one.fingerprint.endsWith(value)),
    )
    .map(({ value }) => ({
      ...{ name: names.get(value) ?? '?', fingerprint: `sha256:${value}`, untilMs: undefined },
    }));
  const subjects = rules
    .filter(({ kind }) => kind === 'subject')
    .map(({ value }) => ({ name: value, fingerprint: undefined, untilMs: undefined }));
  const all = new Map([...issued, ...listed, ...subjects].map((one) => [one.fingerprint ?? one.name, one]));
  return [...all.values()]
    .map((one) => ({ ...one, state: stateOf(one, rules, nowMs) }))
    .sort((a, b) => compare(a.name, b.name) || (a.untilMs ?? 0) - (b.untilMs ?? 0));
}

function stateOf(
  { name, fingerprint, untilMs }: Omit<KnownIdentity, 'state'>,
  rules: readonly TlsClientRule[],
  nowMs: number,
): KnownIdentity['state'] {
  const meant = rules.filter((rule) =>
    rule.kind === 'fingerprint'
      ? fingerprint?.endsWith(rule.value)
      : rule.value === name || isAbout(rule, name),
  );
  if (meant.some(({ revokes }) => revokes)) return 'revoked';
  if (untilMs !== undefined && untilMs < nowMs) return 'expired';
  return meant.length > 0 ? 'accepted' : 'not listed';
}

/** Whether a line is about the certificates of a name, whichever they are. */
function isAbout({ kind, value }: TlsClientRule, name: string): boolean {
  return kind === 'subject' && isIdentityName(name) && matchesSubject(value, name);
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** The names and addresses that a certificate holds for; its common name if there are none. */
export function namesOf(certificate: X509Certificate): string[] {
  const names = (certificate.subjectAltName ?? '')
    .split(', ')
    .flatMap((one) => /^(?:DNS|IP Address):(.+)$/.exec(one)?.[1] ?? []);
  const common = commonNameOf(certificate);
  return names.length > 0 || common === undefined ? names : [common];
}

const COMMON_NAME_MAX = 64;

function hubOptions(names: readonly string[], nowMs: number) {
  const subject = (names.find((name) => name.length <= COMMON_NAME_MAX) ?? 'hub').slice(0, COMMON_NAME_MAX);
  return { kind: 'server', subject, names, nowMs, days: DAYS_DEFAULT } as const;
}

function hubNames(home: string, given: readonly string[]): string[] {
  const me = readControlLine(home, 'me');
  const names = [...(me === undefined ? [] : [textOf(me)]), ...given].map((name) => name.toLowerCase());
  for (const name of names)
    if (isIP(name) === 0 && !isIdentityName(name))
      throw new SetupRefusal(`"${name.slice(0, 100)}" is neither a name that DNS can have nor an address`);
  if (names.length === 0)
    throw new SetupRefusal(`${home}/control/me is missing: give the hub's name with --name`);
  return [...new Set(names)];
}

function readAuthority(home: string) {
  const { authority, authorityKey } = identityPaths(home);
  if (!fs.existsSync(authorityKey))
    throw new SetupRefusal(`${authorityKey} is missing: make the authority by mini-qmail identity init`);
  return { key: readKey(authorityKey), certificate: readCertificate(authority).raw };
}

function readIssued(home: string): X509Certificate[] {
  const { issued } = identityPaths(home);
  if (!fs.existsSync(issued)) return [];
  try {
    const names = fs.readdirSync(issued).filter((name) => name.endsWith('.pem'));
    return names.sort().map((name) => readCertificate(`${issued}/${name}`));
  } catch (error) {
    throw error instanceof SystemError ? error : new SystemError('list', issued, error);
  }
}

function readRules(home: string): TlsClientRule[] {
  return (readControlList(home, 'tlsclients') ?? []).map((line) => {
    const rule = parseTlsClientRule(line);
    if (typeof rule === 'string') throw new SetupRefusal(`Cannot use ${home}/control/tlsclients: ${rule}`);
    return rule;
  });
}

function readCertificateText(pem: string): X509Certificate {
  const { X509Certificate } = process.getBuiltinModule('node:crypto');
  return new X509Certificate(bytesOf(pem));
}
