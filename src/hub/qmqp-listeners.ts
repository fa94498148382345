// All ports where a hub takes QMQP: the usual one, where TLS is possible once there is a certificate, and perhaps one where TLS
// is demanded; control/qmqptls can demand it everywhere.

import { textOf } from '../core/bytes/bytes.ts';
import type { Clock } from '../host/clock.ts';
import { readControlLine } from '../host/control.ts';
import type { Log } from '../host/log.ts';
import type { HostPort } from './host-port.ts';
import type { TlsDemand } from './qmqp-door.ts';
import { QmqpListener, type QmqpListenerOptions } from './qmqp-listener.ts';
import { HubTls } from './qmqp-tls.ts';

/** Where to take QMQP. */
export interface QmqpPlaces {
  readonly qmqp: HostPort;
  /** Where to take it by TLS only. */
  readonly qmqps?: HostPort | undefined;
}

/** What the ports have in common as to TLS. */
export interface QmqpTlsSettings {
  readonly tls: HubTls;
  /** What control/qmqptls demands everywhere. */
  readonly demand: TlsDemand;
}

const DEMANDS: { readonly [word: string]: TlsDemand } = { required: 'tls', certificate: 'certificate' };

/**
 * Reads what is there for TLS.
 * @param isDemanded whether a port cannot do without it
 * @throws Error or SystemError that names the file that is missing or cannot be used
 */
export function readQmqpTls(
  home: string,
  { isDemanded, clock, log }: { isDemanded: boolean; clock: Clock; log: Log },
): QmqpTlsSettings {
  const line = readControlLine(home, 'qmqptls');
  const word = line === undefined ? '' : textOf(line);
  const demand = word === '' ? 'nothing' : DEMANDS[word];
  if (demand === undefined)
    throw new Error(
      `Cannot use ${home}/control/qmqptls: "${word.slice(0, 100)}" is neither required nor certificate`,
    );
  const tls = new HubTls({ home, clock, log });
  if (!tls.isReady && (isDemanded || demand !== 'nothing'))
    throw new Error(
      `Cannot demand TLS: ${home}/control/tls/hub.pem is missing; mini-qmail identity init makes it`,
    );
  if (!tls.asksCertificates && demand === 'certificate')
    throw new Error(`Cannot demand certificates: ${home}/control/tlsclients is missing`);
  return { tls, demand };
}

/** See the head of this file. */
export class QmqpListeners {
  readonly #places: QmqpPlaces;
  readonly #listener: QmqpListener;
  readonly #secure: QmqpListener | undefined;

  constructor(options: QmqpListenerOptions, { tls, demand }: QmqpTlsSettings, places: QmqpPlaces) {
    this.#places = places;
    this.#listener = new QmqpListener({ ...options, door: { tls, demand } });
    const secured = { tls, demand: demand === 'nothing' ? 'tls' : demand } as const;
    this.#secure = places.qmqps && new QmqpListener({ ...options, door: secured });
  }

  /** Begins to accept everywhere. @returns the addresses in use @throws when one cannot be bound */
  async listen(): Promise<QmqpPlaces> {
    const { qmqp, qmqps } = this.#places;
    const bound = await this.#listener.listen(qmqp);
    return { qmqp: bound, qmqps: qmqps && (await this.#secure?.listen(qmqps)) };
  }

  /** As {@link QmqpListener.close}. */
  async close(graceMs: number): Promise<void> {
    await Promise.all([this.#listener.close(graceMs), this.#secure?.close(graceMs)]);
  }
}
