// What each connection's TLS must be: control/tlspolicy, and what MTA-STS and DANE say where they are switched on. DANE takes
// precedence over MTA-STS for a host that it has something to say about (RFC 8461 section 2).
// Invariant: where any of them asks for TLS or a certificate, nothing of a message is sent without it.

import { isIPv4 } from 'node:net';
import { isHostOfPolicy, type StsPolicy } from '../core/policy/mta-sts.ts';
import { type Destination, isSocketPath } from '../core/policy/route.ts';
import { DEFAULT_TLS_RULE, type TlsRule, type TlsRules } from '../core/policy/tls-rules.ts';
import type { AskValidatingDns } from '../host/dns-client.ts';
import type { Log } from '../host/log.ts';
import { DaneLookUp } from './dane.ts';
import type { MailHost, MailResolver } from './mail-exchanger.ts';
import type { StsPolicies } from './mta-sts.ts';
import { findSmtpLogin, type SmtpLogin, type SmtpLogins } from './smtp-logins.ts';
import type { TlsDemand } from './tls-check.ts';

/** What the policy is made of; what is undefined is switched off. */
export interface TlsPolicySettings {
  readonly rules?: TlsRules;
  /** Certificates (PEM) of the authorities in each file that a rule names. */
  readonly authorities?: ReadonlyMap<string, readonly string[]>;
  readonly logins?: SmtpLogins;
  readonly sts?: StsPolicies;
  /** Asks a resolver that validates, and is trusted. */
  readonly askValidating?: AskValidatingDns;
  readonly log?: Log;
}

const RULE_SOURCE = 'control/tlspolicy';
const LOGIN_SOURCE = 'control/smtpauth';
const STS_SOURCE = 'MTA-STS';

/** See the head of this file. */
export class TlsPolicy {
  readonly #settings: TlsPolicySettings;

  constructor(settings: TlsPolicySettings) {
    this.#settings = settings;
  }

  /** Begins an attempt to connect to a destination. */
  begin(destination: Destination): SitePolicy {
    return new SitePolicy(destination, this.#settings);
  }
}

/** The policy during one attempt: {@link SitePolicy.prepare} first, then one question for each host. */
export class SitePolicy {
  readonly #destination: Destination;
  readonly #settings: TlsPolicySettings;
  readonly #rule: TlsRule;
  readonly #dane: DaneLookUp | undefined;
  #sts: StsPolicy | undefined;
  /** How to log in, if the destination wants that. */
  readonly login: SmtpLogin | undefined;

  constructor(destination: Destination, settings: TlsPolicySettings) {
    const { rules, logins, askValidating } = settings;
    this.#destination = destination;
    this.#settings = settings;
    this.login = logins && findSmtpLogin(logins, destination);
    this.#rule = rules?.find(destination.host) ?? ruleForLogin(this.login, destination.host);
    // Looks names up even where its word does not count: one attempt asks one resolver.
    this.#dane = askValidating && new DaneLookUp(askValidating);
  }

  /** The resolver to use for this attempt, in place of the usual one. */
  get resolver(): MailResolver | undefined {
    return this.#dane?.resolver;
  }

  /** Finds out what the domain says. Never rejects. */
  async prepare(): Promise<void> {
    const { routed, host } = this.#destination;
    if (!routed && !this.#rule.isAlone) this.#sts = await this.#settings.sts?.find(host);
  }

  /** What is asked of the connection to a host; in words why it must not be used now. */
  async demandFor({ name, isExchanger }: MailHost): Promise<TlsDemand | string> {
    const { level, isAlone } = this.#rule;
    const { host, port, protocol } = this.#destination;
    // What does not leave this machine needs none.
    if (level === 'none' || isSocketPath(host)) return { use: 'never', source: RULE_SOURCE };
    if (level === 'verify') return this.#verified(name);
    if (!isAlone && this.#dane !== undefined && protocol !== 'lmtp') {
      const domain = isExchanger ? host : undefined;
      const asked = await this.#dane.demandFor({ domain, host: name, port });
      if (asked !== undefined) return asked;
    }
    if (level === 'dane') return 'DANE has nothing to say about it, which control/tlspolicy wants';
    const base: TlsDemand =
      level === 'encrypt'
        ? { use: 'demanded', source: RULE_SOURCE }
        : { use: 'offered', source: RULE_SOURCE };
    return this.#sts === undefined ? base : this.#asStsWants(name, this.#sts, base);
  }

  /** Tells that something is not as a policy in its test mode wants it. */
  tellTest(host: string, reason: string): void {
    const { log } = this.#settings;
    if (log !== undefined) log.write('tls.testing', { destination: this.#destination.host, host, reason });
  }

  #verified(name: string): TlsDemand {
    const { names, ca } = this.#rule;
    const authorities = ca === undefined ? undefined : this.#settings.authorities?.get(ca);
    return {
      use: 'demanded',
      check: { kind: 'names', names: names.length > 0 ? names : [name] },
      source: this.login !== undefined && this.#rule === LOGIN_RULE ? LOGIN_SOURCE : RULE_SOURCE,
      ...(authorities && { authorities }),
    };
  }

  #asStsWants(name: string, policy: StsPolicy, base: TlsDemand): TlsDemand | string {
    const isNamed = isHostOfPolicy(policy, name);
    const check = { kind: 'names', names: [name] } as const;
    if (policy.mode === 'enforce') {
      return isNamed ? { use: 'demanded', check, source: STS_SOURCE } : `${STS_SOURCE} does not name it`;
    }
    if (!isNamed) this.tellTest(name, `${STS_SOURCE} does not name it`);
    return { ...base, check, isObserved: true };
  }
}

/** A password is worth more than a message: without a rule of its own its relay must show that it is the right one. */
const LOGIN_RULE: TlsRule = { level: 'verify', names: [], ca: undefined, isAlone: true };

function ruleForLogin(login: SmtpLogin | undefined, host: string): TlsRule {
  return login === undefined || login.inClear || isLoopback(host) ? DEFAULT_TLS_RULE : LOGIN_RULE;
}

/** Whether a host, or an address with or without brackets, is this machine: nobody listens in on the way. */
export function isLoopback(host: string): boolean {
  const bare = host.startsWith('[') ? host.slice(1, -1) : host;
  return bare === 'localhost' || bare === '::1' || (isIPv4(bare) && bare.startsWith('127.'));
}
