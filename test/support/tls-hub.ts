// The QMQP ports of a hub and our client in one process, with a queue that shows what it got, real sockets, and time that stands
// still.

import { type SubmissionResult, submitByQmqp } from '../../src/client/qmqp-submit.ts';
import { bytesOf, textOf } from '../../src/core/bytes/bytes.ts';
import { parseServerVariable } from '../../src/core/format/server-list.ts';
import { createLineLog } from '../../src/host/log.ts';
import { ManualClock } from '../../src/host/manual-clock.ts';
import type { ClientVerdict } from '../../src/hub/client-judge.ts';
import { QmqpListeners, type QmqpPlaces, readQmqpTls } from '../../src/hub/qmqp-listeners.ts';
import type { Envelope, Intake } from '../../src/queue/queue.ts';
import { type Identities, makeIdentities } from './identities.ts';

const LOCALHOST = { host: '127.0.0.1', port: 0 };

/** See the head of this file; `close` when done. */
export class TlsHub {
  /** The present, as for the dates in certificates. */
  readonly nowMs = Date.now();
  readonly clock = new ManualClock(this.nowMs);
  readonly people: Identities = makeIdentities(this.nowMs);
  /** What the queue got. */
  messages: string[] = [];
  log = '';
  /** What the addresses of clients say. */
  verdict: ClientVerdict = { allow: true };
  bound: QmqpPlaces = { qmqp: LOCALHOST };
  listeners: QmqpListeners | undefined;

  /** Opens both ports with the files of that home; without files of TLS the usual one only. */
  async listen(home = this.people.hub): Promise<void> {
    const log = createLineLog((line) => {
      this.log += line;
    });
    const { clock } = this;
    const options = {
      queue: { begin: () => this.#begin() },
      classify: (address: Uint8Array) => ({ channel: 'local', address }) as const,
      judge: () => this.verdict,
      me: 'hub.example',
      limits: {},
      connectionCountMax: 1000,
      ...{ idleMs: 300_000, clock, log },
    };
    const qmqps = home === this.people.hub ? LOCALHOST : undefined;
    const settings = readQmqpTls(home, { isDemanded: qmqps !== undefined, clock, log });
    this.listeners = new QmqpListeners(options, settings, { qmqp: LOCALHOST, qmqps });
    this.bound = await this.listeners.listen();
  }

  /** The entry of a server list for the usual port. */
  plain(words = ''): string {
    return `qmqp://127.0.0.1:${this.bound.qmqp.port} ${words}`;
  }

  /** The same for the port where TLS is demanded. */
  secure(words = ''): string {
    return `qmqps://127.0.0.1:${this.bound.qmqps?.port} ${words}`;
  }

  /** Adds a host; the hub looks at its list once a second. @returns the host's home */
  addHost(name: string, days?: number): string {
    const home = this.people.addHost(name, days);
    this.clock.advance(1000);
    return home;
  }

  /** Submits a message from that home to those servers. */
  submit(home: string, ...servers: string[]): Promise<SubmissionResult> {
    return submitByQmqp({
      home,
      servers: { servers: parseServerVariable(bytesOf(servers.join('\n'))) },
      message: [bytesOf('Subject: x\n\nb\n')],
      envelope: bytesOf('Fa@b.example\0Tc@d.example\0\0'),
    });
  }

  async close(): Promise<void> {
    const closed = this.listeners?.close(0);
    this.clock.advance(0);
    await closed;
    this.people.remove();
  }

  #begin(): Intake {
    let text = '';
    const commit = async (_: Envelope) => this.messages.push(text);
    return {
      write(bytes): undefined {
        text += textOf(bytes);
      },
      commit,
      commitOnce: async (envelope) => ({ id: await commit(envelope), isResubmission: false }),
      abort: () => undefined,
    };
  }
}
