// A certificate for a server in a test, made anew each time so that none can expire.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Key and self-signed certificate in PEM form, and the file that holds both, as control/servercert.pem does. */
export interface TestCertificate {
  readonly key: Buffer;
  readonly cert: Buffer;
  readonly path: string;
  remove(): void;
}

/** Makes a certificate for that name. */
export function makeCertificate(name: string): TestCertificate {
  const folder = mkdtempSync(join(tmpdir(), 'certificate-'));
  const path = join(folder, 'servercert.pem');
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const names = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`, '-days', '2'];
  execFileSync('openssl', [...args, ...names, '-keyout', path, '-out', `${path}.cert`], { stdio: 'pipe' });
  const key = readFileSync(path);
  const cert = readFileSync(`${path}.cert`);
  execFileSync('sh', ['-c', 'cat "$0.cert" >>"$0"', path]);
  return { key, cert, path, remove: () => rmSync(folder, { recursive: true }) };
}
