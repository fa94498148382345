// The certificate of a server, from one file in PEM form with the key and the chain, as the TLS patch of netqmail has it.

import { readFileSync } from 'node:fs';
import type { SecureContext } from 'node:tls';
import { SystemError } from './system-error.ts';

/** Reads the file and makes of it what a server needs for TLS 1.2 and later. @throws SystemError */
export function readServerCertificate(path: string): SecureContext {
  try {
    const pem = readFileSync(path);
    const { createSecureContext } = process.getBuiltinModule('node:tls');
    return createSecureContext({ key: pem, cert: pem, minVersion: 'TLSv1.2' });
  } catch (error) {
    throw new SystemError('use', path, error);
  }
}
