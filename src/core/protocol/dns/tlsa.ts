// TLSA records, by which a domain says which certificates its mail exchangers have (DANE for SMTP).
// Sources: RFC 6698 section 2.1, RFC 7672 section 3.1.
// Invariant: what comes out can be compared with a certificate; every other record counts as none.

/** A record that a client of SMTP can use. */
export interface TlsaRecord {
  /** 2: a certificate authority of the partner's own, 3: the partner's certificate. */
  readonly usage: 2 | 3;
  /** 0: the data is about the whole certificate, 1: about its public key. */
  readonly selector: 0 | 1;
  /** 0: the bytes themselves, 1: their SHA-256, 2: their SHA-512. */
  readonly matching: 0 | 1 | 2;
  readonly data: Uint8Array;
}

const HEAD_BYTES = 3;
const DIGEST_BYTES = [0, 32, 64];

/** The usable ones among the records of a name, in order. @param records their data as it came */
export function parseUsableTlsa(records: readonly Uint8Array[]): TlsaRecord[] {
  const usable: TlsaRecord[] = [];
  for (let i = 0; i < records.length; i++) {
    const parsed = parseTlsa(records[i]!);
    if (parsed !== undefined) usable.push(parsed);
  }
  return usable;
}

function parseTlsa(record: Uint8Array): TlsaRecord | undefined {
  const [usage, selector, matching] = [record[0], record[1], record[2]];
  if (usage !== 2 && usage !== 3) return undefined;
  if (selector !== 0 && selector !== 1) return undefined;
  if (matching !== 0 && matching !== 1 && matching !== 2) return undefined;
  const data = record.subarray(HEAD_BYTES);
  const isWhole = matching === 0 ? data.length > 0 : data.length === DIGEST_BYTES[matching];
  return isWhole ? { usage, selector, matching, data } : undefined;
}
