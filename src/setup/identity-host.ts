// A host's side of identities: its key, which never leaves it, and the request that the hub's authority is to sign.

import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { isIdentityName } from '../core/format/tls-clients.ts';
import { SystemError } from '../host/system-error.ts';
import {
  identityPaths,
  makeIdentityFolder,
  makeKey,
  refuseExisting,
  writeKey,
  writeNew,
} from './identity-files.ts';
import { makeRequest, pemOf } from './identity-issue.ts';
import { SetupRefusal } from './setup-refusal.ts';

/** What a host is to be. */
export interface HostIdentity {
  readonly home: string;
  /** Its name; that of the machine if undefined. */
  readonly name: string | undefined;
  /** Name of the group whose members may read the key. */
  readonly group: string | undefined;
}

const NAME_LENGTH_MAX = 64;

/** Makes key and request where neither is. @returns name and path of the request @throws SetupRefusal; SystemError */
export function makeHostIdentity({ home, name, group }: HostIdentity): { name: string; request: string } {
  const { folder, hostKey, hostRequest } = identityPaths(home);
  refuseExisting([hostKey, hostRequest]);
  const host = (name ?? hostname()).toLowerCase();
  if (!isIdentityName(host) || host.length > NAME_LENGTH_MAX)
    throw new SetupRefusal(
      `"${host.slice(0, 100)}" is not a name of a host of at most ${NAME_LENGTH_MAX} letters, digits, dots and hyphens: give another with --name`,
    );
  const groupNumber = group === undefined ? undefined : findGroup(group);
  makeIdentityFolder(folder);
  const key = makeKey();
  writeKey(hostKey, key, groupNumber);
  writeNew(hostRequest, pemOf('CERTIFICATE REQUEST', makeRequest(host, key)));
  return { name: host, request: hostRequest };
}

/** The number of a group of this machine. */
function findGroup(name: string): number {
  let text: string;
  try {
    text = readFileSync('/etc/group', 'latin1');
  } catch (error) {
    throw new SystemError('read', '/etc/group', error);
  }
  for (const line of text.split('\n')) {
    const [group, , digits] = line.split(':');
    if (group === name && /^\d+$/.test(digits ?? '')) return Number(digits);
  }
  throw new SetupRefusal(`There is no group ${name} in /etc/group`);
}
