// Certificates and requests for them, as bytes: what is to be signed, and the whole with its signature. Keys, signatures and
// time come from outside. Profiles are ours: an authority that signs hosts directly, the hub as a server, hosts as clients.
// Sources: RFC 5280 sections 4.1 and 4.2, RFC 2986, RFC 5758, RFC 8410.

import { bytesOf, equalBytes } from '../bytes/bytes.ts';
import {
  DER_TAG,
  type DerElement,
  encodeDer,
  encodeDerBits,
  encodeDerInteger,
  encodeDerOid,
  encodeDerTagged,
  readDer,
  readDerAll,
} from './der.ts';

/** By what a signature was made: the kind of key; the hash is SHA-256 where one is chosen. */
export type SignatureKind = 'ecdsa' | 'rsa' | 'ed25519';

/** What a certificate is to say. */
export interface CertificateFields {
  readonly kind: 'authority' | 'server' | 'client';
  /** Number, the highest byte first, 20 bytes at most; never used again by its issuer. */
  readonly serial: Uint8Array;
  /** Name of the issuer as its certificate has it, an element; its own of {@link encodeName} for an authority. */
  readonly issuer: Uint8Array;
  /** Common name of the holder, ASCII. */
  readonly subject: string;
  /** `YYYYMMDDHHMMSS` in UTC. */
  readonly notBefore: string;
  readonly notAfter: string;
  /** Public key of the holder, as SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  /** What tells the keys of holder and issuer: SHA-1 of {@link publicKeyBits}. */
  readonly keyId: Uint8Array;
  readonly issuerKeyId: Uint8Array;
  /** Names in DNS, and addresses of 4 or 16 bytes, that it holds for. */
  readonly names: readonly string[];
  readonly addresses: readonly Uint8Array[];
}

/** A request for a certificate, as read; arrays are views of the input. */
export interface CertificateRequest {
  /** What is signed. */
  readonly info: Uint8Array;
  readonly signatureOid: Uint8Array;
  readonly signature: Uint8Array;
  /** Common name; undefined if there is none in ASCII. */
  readonly subject: string | undefined;
  /** As SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
}

const COMMON_NAME = encodeDerOid('2.5.4.3');
const TRUE = encodeDer(DER_TAG.boolean, bytes(0xff));
const USAGE_SIGNATURE = encodeDer(DER_TAG.bitString, bytes(7, 0x80));
const USAGE_AUTHORITY = encodeDer(DER_TAG.bitString, bytes(1, 0x06));
const SERVER_AUTH = encodeDerOid('1.3.6.1.5.5.7.3.1');
const CLIENT_AUTH = encodeDerOid('1.3.6.1.5.5.7.3.2');
const ALGORITHMS: { readonly [kind in SignatureKind]: Uint8Array } = {
  ecdsa: sequence(encodeDerOid('1.2.840.10045.4.3.2')),
  rsa: sequence(encodeDerOid('1.2.840.113549.1.1.11'), encodeDer(DER_TAG.null)),
  ed25519: sequence(encodeDerOid('1.3.101.112')),
};
/** How requests are signed: identifier to hash, none for those that have their own. */
const REQUEST_HASHES: readonly (readonly [oid: Uint8Array, hash: string | undefined])[] = [
  [encodeDerOid('1.2.840.10045.4.3.2'), 'sha256'],
  [encodeDerOid('1.2.840.10045.4.3.3'), 'sha384'],
  [encodeDerOid('1.2.840.10045.4.3.4'), 'sha512'],
  [encodeDerOid('1.2.840.113549.1.1.11'), 'sha256'],
  [encodeDerOid('1.2.840.113549.1.1.12'), 'sha384'],
  [encodeDerOid('1.2.840.113549.1.1.13'), 'sha512'],
  [encodeDerOid('1.3.101.112'), undefined],
];

/** A name that consists of a common name, as an element. */
export function encodeName(commonName: string): Uint8Array {
  const pair = sequence(COMMON_NAME, encodeDer(DER_TAG.utf8, bytesOf(commonName)));
  return sequence(encodeDer(DER_TAG.set, pair));
}

/** What the issuer signs. @param signedBy the kind of the issuer's key */
export function encodeCertificateInfo(fields: CertificateFields, signedBy: SignatureKind): Uint8Array {
  return sequence(
    encodeDerTagged(0, encodeDerInteger(bytes(2))),
    encodeDerInteger(fields.serial),
    ALGORITHMS[signedBy],
    fields.issuer,
    sequence(encodeTime(fields.notBefore), encodeTime(fields.notAfter)),
    encodeName(fields.subject),
    fields.publicKey,
    encodeDerTagged(3, sequence(...encodeExtensions(fields))),
  );
}

/** What the holder of a key signs to ask for a certificate. */
export function encodeRequestInfo(subject: string, publicKey: Uint8Array): Uint8Array {
  return sequence(encodeDerInteger(bytes(0)), encodeName(subject), publicKey, encodeDerTagged(0));
}

/** A certificate or a request: what was signed, with the signature. */
export function encodeSigned(info: Uint8Array, signedBy: SignatureKind, signature: Uint8Array): Uint8Array {
  return sequence(info, ALGORITHMS[signedBy], encodeDerBits(signature));
}

/** Reads a request; undefined if it is none. Whether its signature holds is not looked at. */
export function parseCertificateRequest(request: Uint8Array): CertificateRequest | undefined {
  const parts = readSigned(request);
  const fields = parts && readDerAll(parts.info.content);
  const [version, subject, publicKey] = fields ?? [];
  if (parts === undefined || version?.tag !== DER_TAG.integer || subject === undefined) return undefined;
  if (publicKey?.tag !== DER_TAG.sequence) return undefined;
  return {
    info: parts.info.bytes,
    signatureOid: parts.oid.bytes,
    signature: parts.signature,
    subject: readCommonName(subject),
    publicKey: publicKey.bytes,
  };
}

/** The hash of a request's signature, undefined within if the signature has its own; undefined if it is not known. */
export function requestHash({ signatureOid }: CertificateRequest): { hash: string | undefined } | undefined {
  for (const [oid, hash] of REQUEST_HASHES) if (equalBytes(oid, signatureOid)) return { hash };
  return undefined;
}

/** The name that a certificate's holder has as an issuer of others, an element; undefined if it is no certificate. */
export function parseCertificateSubject(certificate: Uint8Array): Uint8Array | undefined {
  const info = readSigned(certificate)?.info;
  const fields = info && readDerAll(info.content);
  // The version may be left out.
  const at = fields?.[0]?.tag === 0xa0 ? 5 : 4;
  const subject = fields?.[at];
  return subject?.tag === DER_TAG.sequence ? subject.bytes : undefined;
}

/** The bits of a public key in SubjectPublicKeyInfo, of which its identifier is made; undefined if it is none. */
export function publicKeyBits(publicKey: Uint8Array): Uint8Array | undefined {
  const parts = readDerAll(readDer(publicKey)?.content ?? bytes());
  return parts?.[1]?.tag === DER_TAG.bitString ? parts[1].content.subarray(1) : undefined;
}

function encodeExtensions(fields: CertificateFields): Uint8Array[] {
  const isAuthority = fields.kind === 'authority';
  const basic = isAuthority ? sequence(TRUE, encodeDerInteger(bytes(0))) : sequence();
  const extensions = [
    extension('2.5.29.19', basic, true),
    extension('2.5.29.15', isAuthority ? USAGE_AUTHORITY : USAGE_SIGNATURE, true),
    extension('2.5.29.14', encodeDer(DER_TAG.octetString, fields.keyId)),
  ];
  if (isAuthority) return extensions;
  extensions.push(extension('2.5.29.35', sequence(encodeDer(0x80, fields.issuerKeyId))));
  extensions.push(extension('2.5.29.37', sequence(fields.kind === 'server' ? SERVER_AUTH : CLIENT_AUTH)));
  const names = fields.names.map((name) => encodeDer(0x82, bytesOf(name)));
  const addresses = fields.addresses.map((address) => encodeDer(0x87, address));
  if (names.length + addresses.length > 0)
    extensions.push(extension('2.5.29.17', sequence(...names, ...addresses)));
  return extensions;
}

function extension(oid: string, value: Uint8Array, isCritical = false): Uint8Array {
  const critical = isCritical ? [TRUE] : [];
  return sequence(encodeDerOid(oid), ...critical, encodeDer(DER_TAG.octetString, value));
}

/** Years up to 2049 have two digits. */
function encodeTime(text: string): Uint8Array {
  const isShort = Number(text.slice(0, 4)) < 2050;
  return isShort
    ? encodeDer(DER_TAG.utcTime, bytesOf(`${text.slice(2)}Z`))
    : encodeDer(DER_TAG.generalizedTime, bytesOf(`${text}Z`));
}

function readSigned(
  signed: Uint8Array,
): { info: DerElement; oid: DerElement; signature: Uint8Array } | undefined {
  const whole = readDer(signed);
  if (whole?.tag !== DER_TAG.sequence || whole.bytes.length !== signed.length) return undefined;
  const [info, algorithm, signature, ...more] = readDerAll(whole.content) ?? [];
  const oid = algorithm && readDer(algorithm.content);
  if (info?.tag !== DER_TAG.sequence || oid?.tag !== DER_TAG.objectId || more.length > 0) return undefined;
  if (signature?.tag !== DER_TAG.bitString || signature.content[0] !== 0) return undefined;
  return { info, oid, signature: signature.content.subarray(1) };
}

function readCommonName(name: DerElement): string | undefined {
  let found: string | undefined;
  for (const set of readDerAll(name.content) ?? []) {
    for (const pair of readDerAll(set.content) ?? []) {
      const [oid, value] = readDerAll(pair.content) ?? [];
      if (oid === undefined || value === undefined || !equalBytes(oid.bytes, COMMON_NAME)) continue;
      // The most exact one comes last.
      found = asciiOf(value.content);
    }
  }
  return found;
}

function asciiOf(content: Uint8Array): string | undefined {
  let text = '';
  for (let i = 0; i < content.length; i++) {
    const byte = content[i]!;
    if (byte < 0x20 || byte > 0x7e) return undefined;
    text += String.fromCharCode(byte);
  }
  return text;
}

function sequence(...contents: readonly Uint8Array[]): Uint8Array {
  return encodeDer(DER_TAG.sequence, ...contents);
}

function bytes(...numbers: readonly number[]): Uint8Array {
  return new Uint8Array(numbers);
}
