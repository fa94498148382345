// The control files of a running hub. Some are read again on HUP, all of them or none: who is allowed, and which domains are
// local or virtual, as qmail-send does, and where mail goes and for how long. Everything else is as it was at the start.

import type { DestinationRules } from '../core/policy/destination-rules.ts';
import { type DeliveryControls, readDeliveryControls } from '../delivery/delivery-controls.ts';
import { type DkimKeyring, readDkimKeyring } from '../delivery/dkim-keys.ts';
import { readAllowedClients } from './allowed-clients.ts';
import { type JudgeClient, judgeByList, judgeByRules } from './client-judge.ts';

/** See the head of this file. */
export class LiveControls {
  readonly #home: string;
  readonly #rules: string | undefined;
  readonly #delivery: { -readonly [name in keyof DeliveryControls]: DeliveryControls[name] };
  #judge: JudgeClient;
  #dkimKeys: DkimKeyring;

  /** @param rules file that says who may connect, in place of control/qmqpclients @throws Error or SystemError */
  constructor(home: string, rules: string | undefined) {
    this.#home = home;
    this.#rules = rules;
    this.#judge = this.#readJudge();
    this.#delivery = { ...readDeliveryControls(home) };
    this.#dkimKeys = readDkimKeyring(home);
  }

  /** The keys that mail is signed with, as they were read last. */
  get dkimKeys(): DkimKeyring {
    return this.#dkimKeys;
  }

  /** One object for as long as the hub runs; what {@link reload} reads changes in it. */
  get delivery(): DeliveryControls {
    return this.#delivery;
  }

  /** Judges by what was read last. */
  readonly judge: JudgeClient = (address) => this.#judge(address);

  /**
   * Reads locals, virtualdomains, qmqpclients, destinations, smtproutes and queuelifetime again.
   * @returns the last of them, for the delivery
   * @throws Error or SystemError when one cannot be read or understood: nothing has changed then
   */
  reload(): DestinationRules {
    const read = readDeliveryControls(this.#home);
    const dkimKeys = readDkimKeyring(this.#home);
    this.#judge = this.#readJudge();
    this.#dkimKeys = dkimKeys;
    this.#delivery.locals = read.locals;
    this.#delivery.virtualdomains = read.virtualdomains;
    this.#delivery.smtproutes = read.smtproutes;
    this.#delivery.queuelifetime = read.queuelifetime;
    return read.destinations;
  }

  #readJudge(): JudgeClient {
    const rules = this.#rules;
    return rules === undefined ? judgeByList(readAllowedClients(this.#home)) : judgeByRules(rules);
  }
}
