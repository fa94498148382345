// A null client in a folder of its own, made as an administrator makes it: by `mini-qmail install --role client`.

import { execFile } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from './client-vectors.ts';

/** What the installation is told. */
export interface ClientInstallation {
  /** Entry of qmqpservers. */
  readonly server: string;
  readonly me: string;
  readonly idhost: string;
}

/** Installs and resolves with the prefix, which the caller removes. @throws Error with what the command printed */
export async function installClient({ server, me, idhost }: ClientInstallation): Promise<string> {
  const prefix = mkdtempSync(join(tmpdir(), 'mini-qmail-prefix-'));
  // The interpreter is not copied: it is 100 MB, and how it is copied is tested elsewhere.
  const words = [
    '--prefix',
    prefix,
    '--server',
    server,
    '--me',
    me,
    '--idhost',
    idhost,
    '--node',
    process.execPath,
  ];
  await promisify(execFile)(join(ROOT, 'bin/mini-qmail'), ['install', '--role', 'client', ...words]);
  return prefix;
}
