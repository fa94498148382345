// Certificates and keys of this installation: whether they are in force, belong together, and are in the right hands. What the other
// side's certificate says is seen when its server is tried.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ServerTls } from '../core/format/server-list-options.ts';
import { errorText } from '../host/error-text.ts';
import { errorCode } from '../host/system-error.ts';
import { type Finding, Findings, plural } from './finding.ts';

/** A certificate, perhaps with its key; paths are absolute. */
export interface CertificateFiles {
  readonly certificate: string;
  /** Absent: it is an authority's, of whose key this host has no need. The same path: both are in one file. */
  readonly key?: string;
}

const DAY_MS = 86_400_000;
/** Time enough for who looks once a fortnight. */
const SOON_DAYS = 21;
const READABLE_BY_ALL = 0o004;

/** The files that a line of the server list uses: those that it names, and those of HOME/control/tls that are there. */
export function filesOfLine(home: string, tls: ServerTls): CertificateFiles[] {
  const pathOf = (named: string | undefined, usual: string) => {
    const path = named === undefined ? `${home}/control/tls/${usual}` : resolve(home, named);
    return named !== undefined || existsSync(path) ? path : undefined;
  };
  const authority = pathOf(tls.ca, 'ca.pem');
  const certificate = pathOf(tls.cert, 'host.pem');
  const files: CertificateFiles[] = authority === undefined ? [] : [{ certificate: authority }];
  if (certificate !== undefined)
    files.push({ certificate, key: resolve(home, tls.key ?? 'control/tls/host.key') });
  return files;
}

/** The files that a hub shows and trusts, as far as they are there. */
export function filesOfHub(home: string): CertificateFiles[] {
  const tls = `${home}/control/tls`;
  const pem = `${home}/control/servercert.pem`;
  return [
    { certificate: `${tls}/hub.pem`, key: `${tls}/hub.key` },
    { certificate: `${tls}/ca.pem` },
    { certificate: pem, key: pem },
  ].filter(({ certificate }) => existsSync(certificate));
}

/** Looks at each file once. */
export function checkCertificates(files: readonly CertificateFiles[], nowMs: number): Finding[] {
  const known = new Map(files.map((one) => [`${one.certificate} ${one.key ?? ''}`, one]));
  return [...known.values()].flatMap((one) => checkFiles(one, nowMs));
}

function checkFiles({ certificate: path, key }: CertificateFiles, nowMs: number): Finding[] {
  const found = new Findings('tls');
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(readFileSync(path));
  } catch (error) {
    const reason = errorCode(error)?.startsWith('E') === true ? errorText(error) : 'it is no certificate';
    const remedy = 'put a certificate in PEM form there that programs can read: see mini-qmail-doctor(8)';
    found.error(path, `cannot be used: ${reason}`, remedy);
    return found.list;
  }
  found.list.push(judgeDates(path, certificate, nowMs));
  if (key !== undefined) checkKey(key, certificate, found);
  return found.list;
}

/** Judges when a certificate is in force. @param subject the file, or the server that has shown it */
export function judgeDates(
  subject: string,
  certificate: Pick<X509Certificate, 'validFromDate' | 'validToDate'>,
  nowMs: number,
): Finding {
  const found = new Findings('tls');
  const from = certificate.validFromDate.getTime();
  const to = certificate.validToDate.getTime();
  const day = (ms: number) => new Date(ms).toISOString().slice(0, 10);
  const days = Math.floor((to - nowMs) / DAY_MS);
  const remedy = 'make or ask for a new certificate, and put it in place of this one';
  if (to < nowMs) found.error(subject, `its certificate expired on ${day(to)}`, remedy);
  else if (from > nowMs)
    found.error(subject, `its certificate is not in force before ${day(from)}`, 'set the clock, or wait');
  else if (days < SOON_DAYS)
    found.warning(subject, `its certificate expires on ${day(to)}, in ${plural(days, 'day')}`, remedy);
  else found.ok(subject, `its certificate is in force until ${day(to)}`);
  return found.list[0]!;
}

function checkKey(path: string, certificate: X509Certificate, found: Findings): void {
  try {
    if ((statSync(path).mode & READABLE_BY_ALL) !== 0)
      found.error(path, 'everybody may read this secret key', `chmod o-r ${path}`);
    const key = createPrivateKey(readFileSync(path));
    if (!certificate.checkPrivateKey(key))
      found.error(path, 'is not the key of the certificate', 'put the right pair in place');
  } catch (error) {
    const code = errorCode(error);
    if (code === 'EACCES') {
      const remedy = `make it readable for a group that those users are in: chgrp GROUP ${path} && chmod 640 ${path}`;
      found.warning(path, 'this user cannot read it, and what this user runs cannot show it', remedy);
    } else {
      const reason = code === 'ENOENT' ? 'is missing' : 'holds no key that can be used';
      found.error(path, reason, 'put the key of the certificate there, in PEM form without a password');
    }
  }
}
