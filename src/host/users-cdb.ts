// What the installation says about who gets local mail: control/localdelivery and users/cdb. Both the hub, which decides where a
// message goes, and hub-lspawn, which trusts nobody's word for it, look here, each time anew.

import { textOf } from '../core/bytes/bytes.ts';
import { type FoundAssignment, findAssignment } from '../core/format/users-assign.ts';
import { damagedCdb, openCdbFile } from './cdb-file.ts';
import { readControlLine } from './control.ts';
import { errorCode, SystemError } from './system-error.ts';

/**
 * Whose local mail is: `mail`, mailboxes of the hub get all of it; `users`, those of users/cdb get theirs and mailboxes of the hub the rest;
 * `qmail`, users/cdb, accounts of this machine and the account alias get all of it, as with qmail-lspawn.
 */
export type LocalDeliveryMode = 'mail' | 'users' | 'qmail';

/** The word of control/localdelivery; `users` if it is missing. @throws SystemError if it is another one, or cannot be read */
export function readLocalDelivery(home: string): LocalDeliveryMode {
  const line = readControlLine(home, 'localdelivery');
  const word = line === undefined ? 'users' : textOf(line);
  if (word === 'mail' || word === 'users' || word === 'qmail') return word;
  const path = `${home}/control/localdelivery`;
  throw new SystemError('understand', path, 'it must be mail, users or qmail');
}

/** Looks up the local part of an address in users/cdb; undefined if that does not have it, or is not there. @throws SystemError */
export function findInUsersCdb(home: string, local: Uint8Array): FoundAssignment | undefined {
  const path = `${home}/users/cdb`;
  let file: ReturnType<typeof openCdbFile>;
  try {
    file = openCdbFile(path);
  } catch (error) {
    if (error instanceof SystemError && errorCode(error.cause) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const found = findAssignment(local, (key) => file.find(key));
    if (found === 'damaged') throw damagedCdb(path);
    return found;
  } finally {
    file.close();
  }
}
