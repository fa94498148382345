// What the doctor looks at: an installation, and which roles it has. The record of `mini-qmail install` says so; one that was put
// together by hand is known by what is in it.

import { existsSync } from 'node:fs';
import { RootedDisk } from '../setup/disk.ts';
import { readManifest } from '../setup/manifest.ts';
import type { Role } from '../setup/roles.ts';

/** An installation, and who asks. */
export interface Installation {
  /** Absolute. */
  readonly home: string;
  /** Folder of our own programs. */
  readonly ownBin: string;
  readonly roles: readonly Role[];
  /** Whether `mini-qmail install` has made it; then all programs of its roles belong there. */
  readonly isRecorded: boolean;
  /** Whether a hub has its queue here; a hub may have its home elsewhere than its programs. */
  readonly hasQueue: boolean;
  readonly env: { readonly [name: string]: string | undefined };
}

/** Finds out what is in a home. */
export function findInstallation(from: Pick<Installation, 'home' | 'ownBin' | 'env'>): Installation {
  const { home } = from;
  const hasQueue = existsSync(`${home}/queue/journal`) || existsSync(`${home}/queue/index.sqlite`);
  const recorded = recordedRoles(home);
  const roles = recorded ?? guessRoles(home, hasQueue);
  // What runs here counts, whatever it was installed for.
  const all = hasQueue && !roles.includes('hub') ? [...roles, 'hub' as const] : roles;
  return { ...from, hasQueue, roles: all, isRecorded: recorded !== undefined };
}

function recordedRoles(home: string): readonly Role[] | undefined {
  try {
    return readManifest(new RootedDisk(''), home)?.roles;
  } catch {
    // Then what is there counts; that the record is damaged is told by the installer.
    return undefined;
  }
}

function guessRoles(home: string, hasQueue: boolean): Role[] {
  const has = (name: string) => existsSync(`${home}/control/${name}`);
  const roles: Role[] = [];
  if (hasQueue || has('qmqpclients')) roles.push('hub');
  if (has('rcpthosts') && has('qmqpservers')) roles.push('gateway');
  else if (has('qmqpservers') || roles.length === 0) roles.unshift('client');
  return roles;
}
