// What becomes of a connection to the QMQP port of a hub that has TLS, before anything of a request is read: by its first byte
// it is plain or TLS; then its address or its certificate says whether it may come in.
// Invariant: who shows a certificate is judged by it alone, who shows none by the address; a client that is sent away is told
// why in a temporary reply, so that mail is kept, and what it still sends is thrown away.

import type { Socket } from 'node:net';
import { bytesOf } from '../core/bytes/bytes.ts';
import { encodeNetstring } from '../core/bytes/netstring.ts';
import { isIdentityName } from '../core/format/tls-clients.ts';
import { fingerprintOf } from '../host/certificate-facts.ts';
import type { Clock } from '../host/clock.ts';
import type { Log } from '../host/log.ts';
import { claimedName } from './client-identity.ts';
import type { ClientVerdict } from './client-judge.ts';
import { HANDSHAKE_MS, type HubTls, type SecureClient } from './qmqp-tls.ts';

/** What a client must show on a port: nothing, TLS, or a certificate. */
export type TlsDemand = 'nothing' | 'tls' | 'certificate';

/** A connection that may hand over mail. */
export interface Admitted {
  /** The socket, or the encrypted stream over it. */
  readonly stream: Socket;
  /** What has been read of it. */
  readonly first: Uint8Array | undefined;
  /** Whose certificate the client has shown. */
  readonly identity: string | undefined;
  /** Version of TLS. */
  readonly tls: string | undefined;
}

/** What a door works with. */
export interface QmqpDoorOptions {
  readonly tls: HubTls;
  readonly demand: TlsDemand;
  readonly clock: Clock;
  readonly log: Log;
}

/** Who knocks, and what is done then. */
export interface Knock {
  readonly socket: Socket;
  readonly ip: string;
  /** What the address says. */
  readonly verdict: ClientVerdict;
  /** Called once, synchronously with what was read, unless the client is sent away. */
  onAdmitted(admitted: Admitted): void;
  /** Called once, when the client has been admitted or its connection is gone. */
  onEnd(): void;
}

const TLS_HANDSHAKE = 0x16;
/** For how long a client that was refused may go on sending until it reads why. */
const REFUSED_MS = 30_000;

/** One connection at the door; see the head of this file. */
export class QmqpDoor {
  readonly startMs: number;
  readonly hasBegun = false;
  readonly #options: QmqpDoorOptions;
  readonly #knock: Knock;
  #heardMs: number;
  #callOff: (() => void) | undefined;
  #isOver = false;
  /** We have ended it ourselves. */
  #isEnded = false;

  constructor(knock: Knock, options: QmqpDoorOptions) {
    this.#knock = knock;
    this.#options = options;
    this.startMs = options.clock.steadyMs();
    this.#heardMs = this.startMs;
    const { socket, verdict } = knock;
    socket.on('error', ignore);
    socket.on('data', this.#onFirst);
    socket.on('end', this.#onEarlyEnd);
    socket.on('close', this.#end);
    if (!verdict.allow) this.#callOff = options.clock.after(HANDSHAKE_MS, () => socket.destroy());
  }

  get heardMs(): number {
    return this.#heardMs;
  }

  /** Sends the client away without a word. */
  end(): void {
    this.#isEnded = true;
    this.#knock.socket.destroy();
  }

  readonly #onFirst = (first: Uint8Array): void => {
    const { socket, verdict } = this.#knock;
    const { demand, clock } = this.#options;
    this.#heardMs = clock.steadyMs();
    socket.off('data', this.#onFirst);
    socket.off('end', this.#onEarlyEnd);
    if (first[0] === TLS_HANDSHAKE) {
      // Nothing may be read by anybody until TLS has taken over.
      socket.pause();
      void this.#startTls(first);
    } else if (demand !== 'nothing') {
      this.#refuse(socket, 'TLS is demanded here', {}, 'this server takes mail by TLS only');
    } else if (!verdict.allow) {
      this.#options.log.write('qmqp.refused', { ip: this.#knock.ip, reason: verdict.reason });
      socket.destroy();
    } else this.#admit({ stream: socket, first, identity: undefined, tls: undefined });
  };

  readonly #onEarlyEnd = (): void => {
    this.#knock.socket.destroy();
  };

  readonly #end = (): void => {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#callOff?.();
    this.#knock.onEnd();
  };

  async #startTls(first: Uint8Array): Promise<void> {
    const { socket, ip } = this.#knock;
    const result = await this.#options.tls.secure(socket, first);
    if (typeof result === 'string') {
      if (!this.#isEnded)
        this.#options.log.write('qmqp.refused', { ip, reason: `TLS handshake failed: ${result}` });
      return;
    }
    result.stream.on('error', ignore);
    if (!socket.destroyed) this.#judge(result);
  }

  #judge({ stream, version, shown }: SecureClient): void {
    const { verdict } = this.#knock;
    const { tls, demand } = this.#options;
    if (shown === undefined) {
      if (demand === 'certificate')
        this.#refuse(stream, 'no certificate', {}, 'this server asks for a certificate');
      else if (!verdict.allow)
        this.#refuse(
          stream,
          `${verdict.reason}, and no certificate`,
          {},
          'this server asks for a certificate, or an address that it knows',
        );
      else this.#admit({ stream, first: undefined, identity: undefined, tls: version });
      return;
    }
    const judged = tls.judge(shown);
    if (judged.allow) {
      this.#admit({ stream, first: undefined, identity: judged.identity, tls: version });
      return;
    }
    const certificate = claimedName(shown.certificate);
    const facts = { certificate, fingerprint: fingerprintOf(shown.certificate) };
    const name = certificate.toLowerCase();
    const whose = isIdentityName(name) ? `the certificate of ${name}` : 'your certificate';
    this.#refuse(stream, `certificate ${judged.reason}`, facts, `${whose} ${judged.reason}`);
  }

  #admit(admitted: Admitted): void {
    const { socket, onAdmitted } = this.#knock;
    socket.off('close', this.#end);
    this.#end();
    onAdmitted.call(this.#knock, admitted);
  }

  /** @param words for the client */
  #refuse(
    stream: Socket,
    reason: string,
    facts: { certificate?: string; fingerprint?: string },
    words: string,
  ): void {
    const { clock, log } = this.#options;
    const { socket, ip } = this.#knock;
    log.write('qmqp.refused', { ip, ...facts, reason });
    this.#callOff?.();
    this.#callOff = clock.after(REFUSED_MS, () => socket.destroy());
    stream.end(encodeNetstring(bytesOf(`Zsorry, ${words} (#4.7.0)`)));
    stream.on('end', () => socket.destroySoon());
    stream.resume();
  }
}

/** A reset tells no more than the close that follows it. */
function ignore(): void {}
