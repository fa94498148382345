// Making certificates: the bytes of core/format/certificate.ts with keys, signatures, numbers and dates of this machine.

import { createHash, createPublicKey, type KeyObject, randomBytes, sign, verify } from 'node:crypto';
import { isIP } from 'node:net';
import { bytesOf } from '../core/bytes/bytes.ts';
import {
  encodeCertificateInfo,
  encodeName,
  encodeRequestInfo,
  encodeSigned,
  parseCertificateRequest,
  parseCertificateSubject,
  publicKeyBits,
  requestHash,
  type SignatureKind,
} from '../core/format/certificate.ts';
import { parseIpv6 } from '../core/format/ip-address.ts';
import { SetupRefusal } from './setup-refusal.ts';

/** Who signs: its key, and its certificate in DER; none signs its own. */
export interface Issuer {
  readonly key: KeyObject;
  readonly certificate: Uint8Array;
}

/** What a certificate is to say of its holder. */
export interface IssueOptions {
  readonly kind: 'authority' | 'server' | 'client';
  /** Common name. */
  readonly subject: string;
  readonly publicKey: KeyObject;
  /** Names in DNS and IP addresses. */
  readonly names: readonly string[];
  readonly nowMs: number;
  /** For how long, in days from now; none or less for one that is over. */
  readonly days: number;
}

/** A request whose signature holds. */
export interface CheckedRequest {
  /** The name that it asks for. */
  readonly subject: string | undefined;
  readonly publicKey: KeyObject;
}

const DAY_MS = 86_400_000;
/** A certificate is valid for a host whose clock is so much behind. */
const CLOCK_SLACK_MS = 3_600_000;
const SERIAL_BYTES = 16;
const RSA_BITS_MIN = 2048;
const PEM_WIDTH = 64;

/** Makes a certificate, in DER. @param signingKey of the issuer, or the holder's own for an authority */
export function issueCertificate(
  issuer: Issuer | { readonly key: KeyObject },
  options: IssueOptions,
): Buffer {
  const { kind, subject, publicKey, names, nowMs, days } = options;
  const untilMs = nowMs + days * DAY_MS;
  const serial = randomBytes(SERIAL_BYTES);
  // Positive, and as long as all others.
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const signedBy = kindOf(issuer.key);
  const info = encodeCertificateInfo(
    {
      kind,
      serial,
      issuer: 'certificate' in issuer ? issuerName(issuer.certificate) : encodeName(subject),
      subject,
      notBefore: timeText(Math.min(nowMs, untilMs) - CLOCK_SLACK_MS),
      notAfter: timeText(untilMs),
      publicKey: spkiOf(publicKey),
      keyId: keyIdOf(publicKey),
      issuerKeyId: keyIdOf(createPublicKey(issuer.key)),
      names: names.filter((name) => isIP(name) === 0),
      addresses: names.filter((name) => isIP(name) !== 0).map(addressBytes),
    },
    signedBy,
  );
  return Buffer.from(encodeSigned(info, signedBy, signBy(issuer.key, info)));
}

/** Makes a request for a certificate of that name, in DER. */
export function makeRequest(subject: string, key: KeyObject): Buffer {
  const info = encodeRequestInfo(subject, spkiOf(createPublicKey(key)));
  const signedBy = kindOf(key);
  return Buffer.from(encodeSigned(info, signedBy, signBy(key, info)));
}

/** Reads a request in DER. @throws SetupRefusal that says what is wrong with it */
export function checkRequest(request: Uint8Array): CheckedRequest {
  const parsed = parseCertificateRequest(request);
  if (parsed === undefined) throw new SetupRefusal('It is no request for a certificate (PKCS#10)');
  const how = requestHash(parsed);
  if (how === undefined) throw new SetupRefusal('It is signed in a way that is not known or not safe');
  let publicKey: KeyObject;
  let holds: boolean;
  try {
    publicKey = createPublicKey({ key: Buffer.from(parsed.publicKey), format: 'der', type: 'spki' });
    holds = verify(how.hash, parsed.info, publicKey, parsed.signature);
  } catch (error) {
    throw new SetupRefusal('Its key cannot be read', { cause: error });
  }
  if (!holds) throw new SetupRefusal('Its signature does not hold: who made it does not have the key');
  const bits = publicKey.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < RSA_BITS_MIN)
    throw new SetupRefusal(`Its key has ${bits} bits: ${RSA_BITS_MIN} are the least`);
  return { subject: parsed.subject, publicKey };
}

/** DER as PEM. */
export function pemOf(label: string, der: Buffer): string {
  const text = der.toString('base64');
  const lines: string[] = [];
  for (let at = 0; at < text.length; at += PEM_WIDTH) lines.push(text.slice(at, at + PEM_WIDTH));
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** The first block of one of these labels in a text, as DER; undefined if there is none. */
export function derOf(labels: readonly string[], text: string): Buffer | undefined {
  for (const label of labels) {
    const head = `-----BEGIN ${label}-----`;
    const begin = text.indexOf(head);
    const end = text.indexOf(`-----END ${label}-----`, begin);
    if (begin >= 0 && end >= 0) return Buffer.from(text.slice(begin + head.length, end), 'base64');
  }
  return undefined;
}

function kindOf(key: KeyObject): SignatureKind {
  const type = key.asymmetricKeyType;
  if (type === 'ec') return 'ecdsa';
  if (type === 'rsa' || type === 'ed25519') return type;
  throw new SetupRefusal(`Cannot sign by a key of type ${type}: it must be ec, rsa or ed25519`);
}

function signBy(key: KeyObject, info: Uint8Array): Buffer {
  return sign(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', info, key);
}

function spkiOf(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' });
}

function keyIdOf(key: KeyObject): Buffer {
  const bits = publicKeyBits(spkiOf(key)) ?? new Uint8Array(0);
  return createHash('sha1').update(bits).digest();
}

function issuerName(certificate: Uint8Array): Uint8Array {
  const name = parseCertificateSubject(certificate);
  if (name === undefined) throw new SetupRefusal('The certificate of the authority cannot be read');
  return name;
}

/** `YYYYMMDDHHMMSS` in UTC. */
function timeText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace(/\D/g, '');
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  const groups = parseIpv6(bytesOf(address)) ?? new Uint16Array(8);
  return Buffer.from([...groups].flatMap((group) => [group >> 8, group & 0xff]));
}
