// The hub's TLS for QMQP: its certificate, the certificates of clients, and the handshake. The files are looked at once a second,
// so that a new certificate or a revoked client counts without a restart.
// Invariant: what cannot be read or understood lets nobody in who was not in before; the log says so once.

import { constants, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { Clock } from '../host/clock.ts';
import { readFileIfPresent } from '../host/control.ts';
import { fileVersion } from '../host/file-version.ts';
import { glance } from '../host/glance.ts';
import type { Log } from '../host/log.ts';
import { errorCode, reasonOf, SystemError } from '../host/system-error.ts';
import { handshakeFault } from '../host/tls-fault.ts';
import {
  type IdentityVerdict,
  type JudgeCertificate,
  readTlsClients,
  type ShownCertificate,
} from './client-identity.ts';

/** A connection that has become encrypted. */
export interface SecureClient {
  readonly stream: TLSSocket;
  /** As OpenSSL names it, such as `TLSv1.3`. */
  readonly version: string;
  /** What the client showed; undefined if nothing. */
  readonly shown: ShownCertificate | undefined;
}

/** How long a client may take for a handshake, ms. */
export const HANDSHAKE_MS = 10_000;

const MIN_VERSION = 'TLSv1.2';
/** Handshakes at a time; each costs memory and work before anybody is known. */
const HANDSHAKES_MAX = 1000;
/** Each connection shows its certificate once, anew: nothing of an earlier one counts, nor what comes later. */
const OPTIONS = constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION;

/** What a hub in that home needs; see the head of this file. */
export interface HubTlsOptions {
  readonly home: string;
  readonly clock: Clock;
  readonly log: Log;
}

type Clients = JudgeCertificate | 'in disorder' | undefined;

interface Pending {
  succeed(stream: TLSSocket): void;
  fail(reason: string): void;
}

/** See the head of this file. */
export class HubTls {
  readonly #options: HubTlsOptions;
  readonly #pending = new Map<string, Pending>();
  readonly #look: () => void;
  #server: Server | undefined;
  #serverVersion: string | undefined;
  #clients: Clients;
  #clientsVersion: string | undefined;

  /** @throws Error or SystemError that names the file that cannot be used */
  constructor(options: HubTlsOptions) {
    this.#options = options;
    const versions = this.#versions();
    this.#readClients(versions.clients);
    this.#readServer(versions.server);
    this.#look = glance(options.clock, () => this.#refresh());
  }

  /** Whether there is a certificate to do handshakes with. */
  get isReady(): boolean {
    this.#look();
    return this.#server !== undefined;
  }

  /** Whether clients can be known by their certificates. */
  get asksCertificates(): boolean {
    this.#look();
    return this.#server !== undefined && this.#clients !== undefined;
  }

  /** Who a client is by what it has shown. */
  judge(shown: ShownCertificate): IdentityVerdict {
    this.#look();
    if (this.#clients === undefined || this.#clients === 'in disorder')
      return { allow: false, reason: 'cannot be judged now, control/tlsclients is in disorder' };
    return this.#clients(shown, this.#options.clock.nowMs());
  }

  /**
   * Makes a connection encrypted; nobody else may read from it or listen to it. After a failure, told in words, it is closed.
   * @param first what the client has sent already
   */
  secure(socket: Socket, first: Uint8Array): Promise<SecureClient | string> {
    this.#look();
    const server = this.#server;
    const obstacle = this.#findObstacle(socket);
    if (server === undefined || obstacle !== undefined) {
      socket.destroy();
      return Promise.resolve(obstacle ?? 'there is no certificate');
    }
    const key = keyOf(socket);
    return new Promise((resolve) => {
      const callOff = this.#options.clock.after(HANDSHAKE_MS, () => {
        pending.fail(`handshake not over within ${HANDSHAKE_MS / 1000} seconds`);
      });
      const end = (result: SecureClient | string) => {
        if (this.#pending.get(key) !== pending) return;
        callOff();
        this.#pending.delete(key);
        if (typeof result === 'string') socket.destroy();
        resolve(result);
      };
      const pending = {
        succeed: (stream: TLSSocket) =>
          end({ stream, version: stream.getProtocol() ?? '', shown: shownBy(stream) }),
        fail: end,
      };
      this.#pending.set(key, pending);
      socket.on('error', () => undefined);
      socket.once('close', () => end('the client ended it; it may not trust control/tls/hub.pem'));
      // An end within the handshake is a failure; the encrypted stream inherits this.
      socket.allowHalfOpen = false;
      socket.unshift(first);
      server.emit('connection', socket);
    });
  }

  #findObstacle(socket: Socket): string | undefined {
    if (socket.destroyed || socket.remoteAddress === undefined) return 'the client left';
    return this.#pending.size < HANDSHAKES_MAX ? undefined : 'too many at once';
  }

  #versions(): { server: string; clients: string } {
    const { home } = this.#options;
    const [key, ca, hub] = ['hub.key', 'ca.pem', 'hub.pem'].map((name) =>
      fileVersion(`${home}/control/tls/${name}`),
    );
    return {
      server: hub === undefined ? '' : `${hub} ${key} ${ca}`,
      clients: `${fileVersion(`${home}/control/tlsclients`)}`,
    };
  }

  #refresh(): void {
    const { log } = this.#options;
    let versions: { server: string; clients: string };
    try {
      versions = this.#versions();
    } catch (error) {
      log.write('qmqp.tls-trouble', { reason: reasonOf(error) });
      return;
    }
    if (versions.clients !== this.#clientsVersion) {
      try {
        this.#readClients(versions.clients);
      } catch (error) {
        this.#clients = 'in disorder';
        this.#clientsVersion = versions.clients;
        log.write('qmqp.tls-trouble', {
          reason: `${reasonOf(error)}; no certificate counts until it is mended`,
        });
      }
      // Certificates are asked for, or not, by the server's own settings.
      this.#serverVersion = undefined;
    }
    if (versions.server === this.#serverVersion) return;
    try {
      this.#readServer(versions.server);
    } catch (error) {
      this.#serverVersion = versions.server;
      log.write('qmqp.tls-trouble', { reason: `${reasonOf(error)}; what was read before is used` });
    }
  }

  #readClients(version: string): void {
    this.#clients = readTlsClients(this.#options.home);
    this.#clientsVersion = version;
  }

  #readServer(version: string): void {
    const { home } = this.#options;
    const path = `${home}/control/tls/hub.pem`;
    const cert = version === '' ? undefined : readFileIfPresent(path);
    this.#server = cert && this.#createServer(path, Buffer.from(cert));
    this.#serverVersion = version;
  }

  /** An expired certificate is used all the same: clients that know it by other means may not mind. */
  #noteEnd(path: string, cert: Buffer): void {
    const { validTo, validToDate } = new X509Certificate(cert);
    if (validToDate.getTime() < this.#options.clock.nowMs())
      this.#options.log.write('qmqp.tls-trouble', {
        reason: `${path} has expired: it was valid to ${validTo}`,
      });
  }

  #createServer(path: string, cert: Buffer): Server {
    const { home } = this.#options;
    const keyPath = `${home}/control/tls/hub.key`;
    const ca = readFileIfPresent(`${home}/control/tls/ca.pem`);
    let key: Buffer;
    try {
      key = readFileSync(keyPath);
    } catch (error) {
      throw new SystemError('read', keyPath, error);
    }
    let server: Server;
    try {
      this.#noteEnd(path, cert);
      server = createServer({
        ...{
          cert,
          key,
          minVersion: MIN_VERSION,
          secureOptions: OPTIONS,
          handshakeTimeout: 2 * HANDSHAKE_MS,
        },
        // Without any, Node would believe every authority of the world.
        ca: ca === undefined ? [] : [Buffer.from(ca)],
        // A certificate is judged after the handshake: so that the client can be told in words what is wrong with it.
        ...{ requestCert: this.#clients !== undefined, rejectUnauthorized: false },
      });
    } catch (error) {
      throw new SystemError('use', path, error);
    }
    server.on('secureConnection', (stream) => {
      // The client may have said all it has to say before the answer.
      stream.allowHalfOpen = true;
      this.#pending.get(keyOf(stream))?.succeed(stream);
    });
    server.on('tlsClientError', (error, stream) => this.#pending.get(keyOf(stream))?.fail(explain(error)));
    return server;
  }
}

function shownBy(stream: TLSSocket): ShownCertificate | undefined {
  const certificate = stream.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  // Declared as an error, and in truth its code.
  const fault: unknown = stream.authorized ? undefined : stream.authorizationError;
  return { certificate, fault: fault === undefined ? undefined : String(fault) };
}

/** What a connection and the encrypted stream over it have in common. */
function keyOf({ remoteAddress, remotePort, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localPort}`;
}

function explain(error: Error): string {
  const code = errorCode(error) ?? '';
  return handshakeFault(code) ?? reasonOf(error);
}
