// Signs outgoing messages by the domain of their From field, over the bytes that the session sends, dots not doubled. A
// message is signed once, however many transactions it goes out in: recently made signatures are kept.
// Source: RFC 6376, RFC 8301, RFC 8463.

import { createHash, sign } from 'node:crypto';
import { concatBytes } from '../core/bytes/bytes.ts';
import { canonicalFields, HeaderDivider, RelaxedBody } from '../core/message/dkim-canonical.ts';
import {
  formatSigned,
  formatUnsigned,
  fromDomains,
  selectFields,
  signedBytes,
} from '../core/message/dkim-signature.ts';
import type { Outcome } from '../core/policy/outcome.ts';
import { WireText } from '../core/protocol/smtp/wire-text.ts';
import type { Clock } from '../host/clock.ts';
import type { Log } from '../host/log.ts';
import type { DkimDomain, DkimKey, DkimKeyring } from './dkim-keys.ts';

const HEADER_PIECE_BYTES = 4096;
const BODY_PIECE_BYTES = 65_536;
const TURN_BYTES = 16 * BODY_PIECE_BYTES;
const REMEMBERED_MAX = 256;
const NOTHING = new Uint8Array(0);

/** Fields to put before a message, none if nobody signs it; or why it must not leave now. */
export type Signatures = Uint8Array | Outcome;

/** Makes signatures. */
export class DkimSigner {
  #keyring: DkimKeyring;
  readonly #clock: Clock;
  readonly #log: Log;
  /** By the hash of the message; oldest first. */
  #recent = new Map<string, Promise<Signatures>>();

  constructor(keyring: DkimKeyring, { clock, log }: { readonly clock: Clock; readonly log: Log }) {
    this.#keyring = keyring;
    this.#clock = clock;
    this.#log = log;
    this.#logTrouble();
  }

  /** Signs with these keys from now on. */
  reload(keyring: DkimKeyring): void {
    this.#keyring = keyring;
    // What is being signed with the old keys must not be found.
    this.#recent = new Map();
    this.#logTrouble();
  }

  /** What to put before a message. Never rejects: what fails is a reason to wait. */
  async sign(message: Uint8Array): Promise<Signatures> {
    if (this.#keyring.isEmpty) return NOTHING;
    const domain = this.#signerOf(readHeader(message));
    if (domain === undefined) return NOTHING;
    if (domain.trouble !== undefined) return refuse(domain);
    const recent = this.#recent;
    const key = await hashOf(message);
    const known = recent.get(key);
    if (known !== undefined) return known;
    const made = makeSignatures(domain, message, Math.floor(this.#clock.nowMs() / 1000)).catch(() => {
      recent.delete(key);
      return refuse(domain);
    });
    recent.set(key, made);
    const [oldest] = recent.keys();
    if (recent.size > REMEMBERED_MAX && oldest !== undefined) recent.delete(oldest);
    return made;
  }

  #logTrouble(): void {
    for (const { domain, trouble } of this.#keyring.troubled)
      this.#log.write('dkim.trouble', { domain, reason: trouble });
  }

  /** The first domain of the From field that signs. */
  #signerOf(header: Uint8Array): DkimDomain | undefined {
    for (const domain of fromDomains(canonicalFields(header))) {
      const signer = this.#keyring.find(domain);
      if (signer !== undefined) return signer;
    }
    return undefined;
  }
}

function refuse({ domain }: DkimDomain): Outcome {
  return { letter: 'Z', text: `Mail from ${domain} cannot be signed for now. (#4.7.5)\n` };
}

/** The header of a message as it is sent. */
function readHeader(message: Uint8Array): Uint8Array {
  const wireText = new WireText(false);
  const divider = new HeaderDivider();
  for (let at = 0; at < message.length && !divider.isOver; at += HEADER_PIECE_BYTES)
    divider.receive(wireText.encode(message.subarray(at, at + HEADER_PIECE_BYTES)));
  return divider.header;
}

/** The hash of the body as it is sent, in base64. */
async function hashBody(message: Uint8Array): Promise<string> {
  const wireText = new WireText(false);
  const divider = new HeaderDivider();
  const body = new RelaxedBody();
  const hash = createHash('sha256');
  await inPieces(message, (piece) => hash.update(body.receive(divider.receive(wireText.encode(piece)))));
  return hash.update(body.receiveEnd()).digest('base64');
}

/** The hash of a message as it is stored. */
async function hashOf(message: Uint8Array): Promise<string> {
  const hash = createHash('sha256');
  await inPieces(message, (piece) => hash.update(piece));
  return hash.digest('base64');
}

/** Goes through a message, and lets others have their turn when it is large. */
async function inPieces(message: Uint8Array, take: (piece: Uint8Array) => void): Promise<void> {
  for (let at = 0; at < message.length; at += BODY_PIECE_BYTES) {
    if (at > 0 && at % TURN_BYTES === 0) await new Promise((resolve) => setImmediate(resolve));
    take(message.subarray(at, at + BODY_PIECE_BYTES));
  }
}

async function makeSignatures(
  { domain, keys, fields: wanted }: DkimDomain,
  message: Uint8Array,
  nowSeconds: number,
): Promise<Uint8Array> {
  const bodyHash = await hashBody(message);
  const { names, canonical } = selectFields(canonicalFields(readHeader(message)), wanted);
  const fields = keys.map(async (key) => {
    const { algorithm, selector } = key;
    const unsigned = formatUnsigned({ algorithm, domain, selector, nowSeconds, names, bodyHash });
    return formatSigned(unsigned, await signBytes(key, signedBytes(canonical, unsigned)));
  });
  return concatBytes(await Promise.all(fields));
}

/** In a thread of its own; in base64. */
function signBytes({ key, algorithm }: DkimKey, bytes: Uint8Array): Promise<string> {
  const isRsa = algorithm === 'rsa-sha256';
  // Ed25519 signs the hash as if it were the message (RFC 8463 section 3).
  const data = isRsa ? bytes : createHash('sha256').update(bytes).digest();
  return new Promise((resolve, reject) => {
    sign(isRsa ? 'sha256' : null, data, key, (error, signature) => {
      if (error) reject(error);
      else resolve(signature.toString('base64'));
    });
  });
}
