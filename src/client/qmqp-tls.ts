// TLS between a QMQP client and its server. Invariant: a connection is ready only if all that its line asks for holds: TLS 1.2
// or later, a certificate of an authority that is trusted, for the name that the line says; and this host has shown its own
// certificate if it has one and the server asked. Nothing of TLS is loaded for lines that do not ask for it.

import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type { ServerAddress } from '../core/format/server-list.ts';
import type { ServerTls } from '../core/format/server-list-options.ts';
import { errorCode, reasonOf, SystemError } from '../host/system-error.ts';
import { certificateFault, handshakeFault, isCertificateFault } from '../host/tls-fault.ts';
import type { ReadyStream } from './ready-stream.ts';

const MIN_VERSION = 'TLSv1.2';
const WRONG_NAME = 'ERR_TLS_CERT_ALTNAME_INVALID';

/** The files that a line leads to, whole. */
export type TlsFiles = Pick<ConnectionOptions, 'ca' | 'cert' | 'key'>;

/**
 * Protects a connected socket as `server.tls` says, and resolves before any byte of a request is sent. Rejects with a message for
 * people if that cannot be done; the caller has the time limit, ends it by destroying the socket, and destroys it after failure.
 * @param home the installation, for files that the line does not name
 */
export async function secureConnection(
  socket: Socket,
  server: ServerAddress,
  home: string,
): Promise<ReadyStream> {
  const files = readTlsFiles(server.tls ?? {}, home);
  const name = server.tls?.name ?? server.host;
  if (name === '') throw new Error('Cannot use TLS on a socket file without name= in its line');
  const { connect, checkServerIdentity } = process.getBuiltinModule('node:tls');
  const { isIP } = process.getBuiltinModule('node:net');
  const secure = connect({
    socket,
    ...files,
    ca: files.ca ?? readSystemAuthorities(),
    minVersion: MIN_VERSION,
    // Addresses are not sent (RFC 6066 section 3), but compared with the certificate all the same.
    servername: isIP(name) === 0 ? name : '',
    checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
  });
  // Node has no option for it here; the answer may come after the server has said that it reads no more.
  secure.allowHalfOpen = true;
  return new Promise((resolve, reject) => {
    secure.once('secureConnect', () => resolve({ stream: secure, provesRefusal, explain }));
    // Stays: there may be more than one error, and nobody else listens before the caller does.
    secure.on('error', (cause) =>
      reject(new Error(`TLS with ${name} failed: ${explainHandshake(cause)}`, { cause })),
    );
    secure.once('close', () => reject(new Error(`TLS with ${name} failed: it closed the connection`)));
  });
}

/**
 * Reads the certificates and the key that a line names, or those of HOME/control/tls that are there.
 * @throws SystemError if one cannot be read, which does not mean that one is missing; Error if a certificate lacks its key
 */
export function readTlsFiles(tls: ServerTls, home: string): TlsFiles {
  const read = (named: string | undefined, usual: string) =>
    readUnlessMissing(named === undefined ? `${home}/control/tls/${usual}` : absolute(home, named), named);
  const ca = read(tls.ca, 'ca.pem');
  const cert = read(tls.cert, 'host.pem');
  if (cert === undefined) return ca === undefined ? {} : { ca };
  const key = read(tls.key, 'host.key');
  if (key === undefined) throw new Error(`Cannot use the certificate of this host: its key is missing`);
  return { ...(ca !== undefined && { ca }), cert, key };
}

/** Files are named as all others of an installation: from there, unless they begin with a slash. */
function absolute(home: string, path: string): string {
  return path.startsWith('/') ? path : `${home}/${path}`;
}

/** @param named is undefined for a file that may be missing */
function readUnlessMissing(path: string, named: string | undefined): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (named === undefined && errorCode(error) === 'ENOENT') return undefined;
    throw new SystemError('read', path, error);
  }
}

/** What node brings and what the system's administrator has added. */
function readSystemAuthorities(): string[] {
  const { getCACertificates } = process.getBuiltinModule('node:tls');
  return [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
}

/** With TLS 1.3 the server judges our certificate when we may have written already; it has read nothing then. */
function provesRefusal(error: Error): boolean {
  const code = errorCode(error) ?? '';
  return code.startsWith('ERR_SSL_') && code.includes('_ALERT_') && handshakeFault(code) !== undefined;
}

function explainHandshake(error: Error): string {
  const code = errorCode(error) ?? '';
  if (isCertificateFault(code)) return `its certificate ${certificateFault(code)}`;
  if (code === WRONG_NAME) return 'its certificate is for another name';
  if (code === 'ECONNRESET') return 'it closed the connection; it may not speak TLS';
  return explain(error);
}

function explain(error: Error): string {
  // OpenSSL ends its own with a line feed.
  return handshakeFault(errorCode(error) ?? '') ?? reasonOf(error).trim();
}
