// A file system of its own that can be filled.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Mounts one below a new folder, to be given to {@link unmount}; or tells why there is none. */
export function mountSmall(megabytes: number): string | { readonly reason: string } {
  const folder = mkdtempSync(join(tmpdir(), 'mini-qmail-full-'));
  const options = ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'none', folder];
  const { status, error } = spawnSync('mount', options, { stdio: 'ignore' });
  if (status === 0) return folder;
  rmSync(folder, { recursive: true });
  return { reason: `no file system can be mounted here (${error?.message ?? `mount ended with ${status}`})` };
}

/** Removes a file system and its folder. */
export function unmount(folder: string): void {
  spawnSync('umount', [folder]);
  rmSync(folder, { recursive: true });
}

/** Why tests cannot have one here, or false. */
export function whyNoSmallDisk(): string | false {
  const probe = mountSmall(1);
  if (typeof probe !== 'string') return probe.reason;
  unmount(probe);
  return false;
}
