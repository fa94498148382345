// What is wrong with a partner's certificate or handshake, in words for an administrator. OpenSSL's codes come in Node's errors
// and in `authorizationError`; what has no words here is shown as it is.

const CERTIFICATE_FAULTS: { readonly [code: string]: string } = {
  CERT_HAS_EXPIRED: 'has expired',
  CERT_NOT_YET_VALID: 'is not valid yet: one of the clocks may be wrong',
  CERT_REVOKED: 'is revoked',
  INVALID_PURPOSE: 'is not made for this purpose',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'is from no authority that is trusted here',
  SELF_SIGNED_CERT_IN_CHAIN: 'is from no authority that is trusted here',
  UNABLE_TO_GET_ISSUER_CERT: 'is from no authority that is trusted here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'is from no authority that is trusted here',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'is from no authority that is trusted here',
  CERT_SIGNATURE_FAILURE: 'is from no authority that is trusted here',
  CERT_UNTRUSTED: 'is from no authority that is trusted here',
};

const HANDSHAKE_FAULTS: readonly (readonly [part: string, words: string])[] = [
  ['WRONG_VERSION_NUMBER', 'it does not speak TLS'],
  ['PACKET_LENGTH_TOO_LONG', 'it does not speak TLS'],
  ['HTTP_REQUEST', 'it does not speak TLS'],
  ['UNSUPPORTED_PROTOCOL', 'it has no version of TLS from 1.2 on'],
  ['PROTOCOL_VERSION', 'it has no version of TLS from 1.2 on'],
  ['ALERT_CERTIFICATE_REQUIRED', 'it asks for a certificate'],
  ['ALERT_CERTIFICATE_EXPIRED', 'it says that our certificate has expired'],
  ['ALERT_CERTIFICATE_REVOKED', 'it says that our certificate is revoked'],
  ['ALERT_UNKNOWN_CA', 'it does not trust the authority of our certificate'],
  ['ALERT_BAD_CERTIFICATE', 'it refuses our certificate'],
  ['ALERT_UNSUPPORTED_CERTIFICATE', 'it refuses our certificate'],
  ['ALERT_CERTIFICATE_UNKNOWN', 'it refuses our certificate'],
  ['ALERT_ACCESS_DENIED', 'it refuses our certificate'],
  ['ALERT_HANDSHAKE_FAILURE', 'it has nothing in common with us, or asks for a certificate'],
];

/** What a certificate is or does wrong, by the code of a verification: words behind "the certificate". */
export function certificateFault(code: string): string {
  return CERTIFICATE_FAULTS[code] ?? `cannot be verified: ${code}`;
}

/** Whether it is the code of a verification that failed. */
export function isCertificateFault(code: string): boolean {
  return CERTIFICATE_FAULTS[code] !== undefined;
}

/** Words for a handshake that failed, by the error's code; undefined if there are none. */
export function handshakeFault(code: string): string | undefined {
  return HANDSHAKE_FAULTS.find(([part]) => code.endsWith(part))?.[1];
}
