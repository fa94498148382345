// A certificate authority for tests, and what it issues, made anew each time. Needs openssl.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Key and certificates in PEM form, the holder's first. */
export interface IssuedCertificate {
  readonly key: string;
  readonly cert: string;
}

/** An authority; its files go with `remove`. */
export interface TestAuthority {
  /** Its own certificate in PEM form, and the file that holds it. */
  readonly pem: string;
  readonly path: string;
  /** Issues a certificate for a name, with the authority's own behind it. @param days how long it is valid; -1 is expired */
  issue(name: string, days?: number): IssuedCertificate;
  remove(): void;
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** Makes an authority. */
export function makeAuthority(): TestAuthority {
  const folder = mkdtempSync(join(tmpdir(), 'authority-'));
  const file = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  const path = file('ca.pem');
  openssl('req', '-x509', ...KEY, '-subj', '/CN=Test', '-days', '2', '-keyout', file('ca.key'), '-out', path);
  const pem = readFileSync(path, 'latin1');
  return {
    pem,
    path,
    issue(name, days = 2) {
      const [key, request, cert] = [file('key'), file('request'), file('cert')];
      const names = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`];
      openssl('req', '-new', ...KEY, ...names, '-keyout', key, '-out', request);
      const by = ['-CA', path, '-CAkey', file('ca.key'), '-CAcreateserial', '-copy_extensions', 'copy'];
      openssl('x509', '-req', '-in', request, ...by, '-days', String(days), '-out', cert);
      return { key: readFileSync(key, 'latin1'), cert: readFileSync(cert, 'latin1') + pem };
    },
    remove: () => rmSync(folder, { recursive: true }),
  };
}
