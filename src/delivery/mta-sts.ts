// Policies of domains about the TLS of their mail exchangers (MTA-STS): found by a TXT record, fetched by HTTPS, kept in
// memory and on disk until they are too old, fetched again when the record's id changes.
// Invariants: whatever goes wrong with the record or the fetch, a policy that is kept and not too old holds; without one there
// is none. A fetch ends after a bounded time, and one domain is fetched once at a time; nobody else waits for it.
// Source: RFC 8461 sections 3.3 and 5.1.

import { bytesOf } from '../core/bytes/bytes.ts';
import { isHostName, parseStsPolicy, parseStsRecord, type StsPolicy } from '../core/policy/mta-sts.ts';
import type { Clock } from '../host/clock.ts';
import type { Log } from '../host/log.ts';
import { reasonOf } from '../host/system-error.ts';
import type { KeptPolicy, StsCache } from './mta-sts-cache.ts';

/** What the policies depend on. */
export interface StsSettings {
  readonly clock: Clock;
  readonly log: Log;
  readonly cache: StsCache;
  /** The TXT records of a name, the strings of each joined; rejects if they cannot be looked up, or there are none. */
  readonly resolveTxt: (name: string) => Promise<readonly string[]>;
  /** The text of a domain's policy file; rejects with the reason if there is none. */
  readonly fetchPolicy: (domain: string) => Promise<Uint8Array>;
}

/** How long what was found out about a domain is believed without a look at its record, ms. */
const GLANCE_MS = 300_000;
const DOMAINS_MAX = 10_000;

interface Known {
  readonly policy: StsPolicy | undefined;
  /** Steady time. */
  readonly untilMs: number;
}

/** See the head of this file. */
export class StsPolicies {
  readonly #settings: StsSettings;
  /** Least recently looked at first. */
  readonly #known = new Map<string, Known>();
  readonly #running = new Map<string, Promise<StsPolicy | undefined>>();

  constructor(settings: StsSettings) {
    this.#settings = settings;
  }

  /** The policy that holds for a domain; undefined if there is none. Never rejects. @param domain in lower case */
  find(domain: string): Promise<StsPolicy | undefined> {
    const known = this.#known.get(domain);
    if (known !== undefined && known.untilMs > this.#settings.clock.steadyMs()) {
      return Promise.resolve(known.policy);
    }
    // A name that cannot be that of a policy host has none.
    if (!isHostName(domain)) return Promise.resolve(undefined);
    let running = this.#running.get(domain);
    if (running === undefined) {
      running = this.#look(domain).finally(() => this.#running.delete(domain));
      this.#running.set(domain, running);
    }
    return running;
  }

  async #look(domain: string): Promise<StsPolicy | undefined> {
    const { clock, cache } = this.#settings;
    const kept = await cache.read(domain);
    // The part of its time that is over: 1 and more is too old; from the half on a fresh one is fetched, whatever the id.
    const age = kept && (clock.nowMs() - kept.fetchedMs) / (kept.policy.maxAgeSeconds * 1000);
    let policy = age !== undefined && age < 1 ? kept?.policy : undefined;
    const id = await this.#findId(domain);
    if (id !== undefined && (age === undefined || age >= 0.5 || id !== kept?.id)) {
      const fetched = await this.#fetch(domain, id);
      if (fetched !== undefined) {
        policy = fetched.policy;
        await cache.write(domain, fetched);
      }
    }
    this.#remember(domain, policy);
    return policy?.mode === 'none' ? undefined : policy;
  }

  async #findId(domain: string): Promise<string | undefined> {
    try {
      const records = await this.#settings.resolveTxt(`_mta-sts.${domain}`);
      return parseStsRecord(records.map(bytesOf));
    } catch {
      return undefined;
    }
  }

  async #fetch(domain: string, id: string): Promise<KeptPolicy | undefined> {
    const { clock, log, fetchPolicy } = this.#settings;
    try {
      const policy = parseStsPolicy(await fetchPolicy(domain));
      if (policy === undefined) throw new Error('it is not a valid policy');
      return { id, fetchedMs: clock.nowMs(), policy };
    } catch (error) {
      log.write('mtasts.trouble', { domain, reason: reasonOf(error) });
      return undefined;
    }
  }

  #remember(domain: string, policy: StsPolicy | undefined): void {
    this.#known.delete(domain);
    const [oldest] = this.#known.keys();
    if (this.#known.size >= DOMAINS_MAX && oldest !== undefined) this.#known.delete(oldest);
    const untilMs = this.#settings.clock.steadyMs() + GLANCE_MS;
    this.#known.set(domain, { policy: policy?.mode === 'none' ? undefined : policy, untilMs });
  }
}
