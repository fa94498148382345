// `mini-qmail identity`: keys and certificates by which hub and hosts know each other.

import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { complain, writeBlocking } from '../host/blocking-io.ts';
import { fingerprintOf } from '../host/certificate-facts.ts';
import { reasonOf, SystemError } from '../host/system-error.ts';
import {
  DAYS_DEFAULT,
  initAuthority,
  listIdentities,
  namesOf,
  renewHub,
  revokeIdentity,
  signRequest,
} from './identity-authority.ts';
import { makeHostIdentity } from './identity-host.ts';
import { checkRequest, derOf } from './identity-issue.ts';
import { SetupRefusal } from './setup-refusal.ts';

/** What the command is given; each part is read by some actions only. */
export interface IdentityCommand {
  readonly action: 'init' | 'renew' | 'new' | 'sign' | 'list' | 'revoke' | 'show';
  readonly home: string;
  /** The name of the host; of a hub, all names. */
  readonly names: readonly string[];
  readonly group: string | undefined;
  readonly days: string | undefined;
  readonly json: boolean;
  /** File of a request or certificate; name or fingerprint. */
  readonly word: string | undefined;
}

const STDOUT = 1;
const EXIT_OK = 0;
const EXIT_REFUSED = 100;
const EXIT_TEMPORARY = 111;
const DAYS_MAX = 3650;
const SIZE_MAX = 65_536;

/** Runs the command. @returns 0, 100 if it cannot be done as asked, 111 if something cannot be read or written */
export function runIdentity(command: IdentityCommand): number {
  try {
    writeBlocking(STDOUT, Buffer.from(carryOut(command)));
    return EXIT_OK;
  } catch (error) {
    complain(Buffer.from(`mini-qmail identity: fatal: ${reasonOf(error)}\n`));
    return error instanceof SetupRefusal ? EXIT_REFUSED : EXIT_TEMPORARY;
  }
}

function carryOut(command: IdentityCommand): string {
  const { action, home, names, group, json, word = '' } = command;
  const place = { home, nowMs: Date.now() };
  switch (action) {
    case 'init': {
      const all = initAuthority(place, names);
      return `The hub is ${all.join(', ')}; hosts need ${home}/control/tls/ca.pem\n`;
    }
    case 'renew':
      return `The hub is ${renewHub(place, names).join(', ')}\n`;
    case 'new': {
      const { name, request } = makeHostIdentity({ home, name: names.at(-1), group });
      return `${name} is to be signed on the hub: ${request}\n`;
    }
    case 'sign':
      return signRequest(place, {
        request: readInput(word),
        name: names.at(-1),
        days: daysOf(command.days),
      });
    case 'list':
      return listIdentities(place)
        .map(({ name, state, fingerprint, untilMs }) => {
          const until = untilMs === undefined ? undefined : new Date(untilMs).toISOString();
          if (json) return `${JSON.stringify({ name, state, fingerprint, until })}\n`;
          const end = until === undefined ? '' : ` until ${until.slice(0, 10)}`;
          return `${name} ${state}${end}${fingerprint === undefined ? '' : ` ${fingerprint}`}\n`;
        })
        .join('');
    case 'revoke':
      return revokeIdentity(home, word)
        .map((what) => `revoked ${what}\n`)
        .join('');
    case 'show':
      return describe(word);
  }
}

function daysOf(text: string | undefined): number {
  if (text === undefined) return DAYS_DEFAULT;
  const days = Number(text);
  if (!/^\d+$/.test(text) || days < 1 || days > DAYS_MAX)
    throw new SetupRefusal(`--days "${text}" is not a number from 1 to ${DAYS_MAX}`);
  return days;
}

function readInput(path: string): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path === '-' ? 0 : path);
  } catch (error) {
    throw new SystemError('read', path, error);
  }
  if (bytes.length > SIZE_MAX) throw new SetupRefusal(`${path} is too large for a request or certificate`);
  return bytes;
}

/** A certificate or a request in words. */
function describe(path: string): string {
  const bytes = readInput(path);
  const request = derOf(['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'], bytes.toString('latin1'));
  if (request !== undefined) {
    const { subject = '?', publicKey } = checkRequest(request);
    const spki = publicKey.export({ type: 'spki', format: 'der' });
    const digits = createHash('sha256').update(spki).digest('hex');
    return `request\nname ${subject}\nkey ${publicKey.asymmetricKeyType} sha256:${digits}\n`;
  }
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(bytes);
  } catch (error) {
    throw new SetupRefusal(`${path} is neither a certificate nor a request`, { cause: error });
  }
  const { validFromDate, validToDate, ca } = certificate;
  return [
    ca ? 'authority' : 'certificate',
    ...namesOf(certificate).map((name) => `name ${name}`),
    `issuer ${certificate.issuer.replaceAll('\n', ', ')}`,
    `valid ${validFromDate.toISOString()} to ${validToDate.toISOString()}`,
    `fingerprint ${fingerprintOf(certificate)}\n`,
  ].join('\n');
}
