// The SMTP transport of the hub, from its control files: tlspolicy, smtpauth, mtasts and dane beside those that qmail-remote
// has. All are read at the start; one that cannot be understood stops the hub, since mail must not go out with less
// protection than somebody asked for.

import { promises as dns } from 'node:dns';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { parseTlsRules } from '../core/policy/tls-rules.ts';
import type { Clock } from '../host/clock.ts';
import { readControlLine, readControlList, readControlNumber } from '../host/control.ts';
import { type AskValidatingDns, createValidatingDnsClient } from '../host/dns-client.ts';
import type { Log } from '../host/log.ts';
import { SystemError } from '../host/system-error.ts';
import type { DeliveryControls } from './delivery-controls.ts';
import { createMailResolver } from './dns-mail-resolver.ts';
import { StsPolicies } from './mta-sts.ts';
import { createStsCache } from './mta-sts-cache.ts';
import { createStsFetcher } from './mta-sts-fetch.ts';
import { SmtpTransport } from './remote-smtp.ts';
import { readSmtpLogins } from './smtp-logins.ts';
import { TlsPolicy, type TlsPolicySettings } from './tls-policy.ts';

/** What a hub gives its transport. */
export interface TransportParts {
  readonly home: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly controls: Pick<DeliveryControls, 'helohost' | 'timeoutconnect' | 'timeoutremote'>;
}

const FETCH_TIMEOUT_MS = 20_000;

/** Makes the transport. @throws SystemError when a control file cannot be read or understood */
export function openSmtpTransport(parts: TransportParts): SmtpTransport {
  const { clock, controls } = parts;
  return new SmtpTransport({
    heloName: controls.helohost,
    timeoutConnectMs: controls.timeoutconnect * 1000,
    timeoutRemoteMs: controls.timeoutremote * 1000,
    clock,
    tls: new TlsPolicy(readTlsPolicy(parts)),
  });
}

function readTlsPolicy({ home, clock, log }: TransportParts): TlsPolicySettings {
  const path = `${home}/control/tlspolicy`;
  const rules = parseTlsRules(readControlList(home, 'tlspolicy') ?? []);
  if (typeof rules === 'string') throw new SystemError('understand', path, rules);
  const files = rules.listFiles().map((file) => [file, readAuthorities(resolve(home, file))] as const);
  const askValidating = readValidatingDns(home, clock);
  const sts =
    readControlNumber(home, 'mtasts', 0) === 0
      ? undefined
      : createStsPolicies({ home, clock, log }, askValidating);
  return {
    ...{ rules, authorities: new Map(files), logins: readSmtpLogins(home), log },
    ...(askValidating && { askValidating }),
    ...(sts && { sts }),
  };
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** The certificates in a file (PEM). */
function readAuthorities(path: string): string[] {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch (error) {
    throw new SystemError('read', path, error);
  }
  const found = text.match(CERTIFICATE);
  if (found === null) throw new SystemError('use', path, 'no certificate stands in it');
  return found;
}

/** The resolver that control/dane names: `ADDRESS`, or with a port `ADDRESS:PORT` or `[ADDRESS]:PORT`. */
function readValidatingDns(home: string, clock: Clock): AskValidatingDns | undefined {
  const line = readControlLine(home, 'dane');
  if (line === undefined) return undefined;
  const text = textOf(line).trim();
  const [, inBrackets, bare, digits] = /^(?:\[([^\]]*)\]|([\d.]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const address = isIP(text) === 0 ? (inBrackets ?? bare ?? '') : text;
  const port = Number(digits ?? 53);
  if (isIP(address) === 0 || port === 0 || port > 65_535) {
    const reason = `"${text}" is not the address of a resolver, with or without a port`;
    throw new SystemError('understand', `${home}/control/dane`, reason);
  }
  return createValidatingDnsClient({ servers: [address], clock, port });
}

function createStsPolicies(
  { home, clock, log }: Pick<TransportParts, 'home' | 'clock' | 'log'>,
  askValidating: AskValidatingDns | undefined,
): StsPolicies {
  const resolver = new dns.Resolver();
  // One attempt asks one resolver, be it validating or not.
  const asking =
    askValidating &&
    createMailResolver(async (name, type) => {
      const answer = await askValidating(name, type);
      return answer === 'failed' ? answer : answer.records;
    });
  return new StsPolicies({
    clock,
    log,
    cache: createStsCache(`${home}/cache/mta-sts`, log),
    fetchPolicy: createStsFetcher({ resolver: asking ?? resolver, timeoutMs: FETCH_TIMEOUT_MS }),
    async resolveTxt(name) {
      if (askValidating === undefined)
        return (await resolver.resolveTxt(name)).map((parts) => parts.join(''));
      const answer = await askValidating(bytesOf(name), 'TXT');
      return answer === 'failed' ? [] : answer.records.map(textOf);
    },
  });
}
