// MTA-STS policies on disk, one file for each domain in HOME/cache/mta-sts, so that a restart does not forget them: a policy
// counts for as long as it says, also where somebody keeps its domain from being asked.
// Invariants: a file is whole or not there; at most as many files as domains are remembered. Trouble with the disk costs
// the memory over restarts, never a delivery.

import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { bytesOf } from '../core/bytes/bytes.ts';
import { isHostName, parseStsPolicy, type StsPolicy } from '../core/policy/mta-sts.ts';
import type { Log } from '../host/log.ts';
import { reasonOf } from '../host/system-error.ts';

/** A policy as it was fetched. */
export interface KeptPolicy {
  /** Of the record that led to it. */
  readonly id: string;
  readonly fetchedMs: number;
  readonly policy: StsPolicy;
}

/** Where policies are kept; neither function rejects. */
export interface StsCache {
  read(domain: string): Promise<KeptPolicy | undefined>;
  write(domain: string, kept: KeptPolicy): Promise<void>;
}

const FILES_MAX = 10_000;
const FILE_BYTES_MAX = 256 << 10;
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/** A cache in a folder, which is made when there is something to keep; with a memory in place of files that cannot be written. */
export function createStsCache(folder: string, log: Log): StsCache {
  const memory = new Map<string, KeptPolicy>();
  let names: Set<string> | undefined;
  const trouble = (error: unknown) => log.write('mtasts.trouble', { reason: reasonOf(error) });
  return {
    async read(domain) {
      const inMemory = memory.get(domain);
      if (inMemory !== undefined) return inMemory;
      try {
        const text = await readFile(`${folder}/${domain}`, 'utf8');
        return text.length > FILE_BYTES_MAX ? undefined : parseKept(text);
      } catch {
        return undefined;
      }
    },
    async write(domain, kept) {
      try {
        await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
        names ??= new Set((await readdir(folder)).filter(isHostName));
        const [oldest] = names;
        if (!names.has(domain) && names.size >= FILES_MAX && oldest !== undefined) {
          names.delete(oldest);
          await rm(`${folder}/${oldest}`, { force: true });
        }
        // No host name has a tilde.
        const fresh = `${folder}/~${randomBytes(8).toString('hex')}`;
        await writeFile(fresh, formatKept(kept), { mode: FILE_MODE, flush: true });
        await rename(fresh, `${folder}/${domain}`);
        names.delete(domain);
        names.add(domain);
        memory.delete(domain);
      } catch (error) {
        if (memory.size >= FILES_MAX) memory.clear();
        memory.set(domain, kept);
        trouble(error);
      }
    },
  };
}

/** The id and the time in a line, then the policy in its own format, which its reader checks again. */
function formatKept({ id, fetchedMs, policy: { mode, mx, maxAgeSeconds } }: KeptPolicy): string {
  const hosts = mx.map((host) => `mx: ${host}\n`).join('');
  return `${id} ${fetchedMs}\nversion: STSv1\nmode: ${mode}\n${hosts}max_age: ${maxAgeSeconds}\n`;
}

function parseKept(text: string): KeptPolicy | undefined {
  const lf = text.indexOf('\n');
  const [id = '', time = ''] = text.slice(0, Math.max(lf, 0)).split(' ');
  const fetchedMs = Number(time);
  const policy = parseStsPolicy(bytesOf(text.slice(lf + 1)));
  return policy === undefined || !Number.isSafeInteger(fetchedMs) ? undefined : { id, fetchedMs, policy };
}
