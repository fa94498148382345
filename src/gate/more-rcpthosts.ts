// control/morercpthosts.cdb: the many domains of a large server, compiled by qmail-newmrh.

import { type CdbFile, openCdbFile } from '../host/cdb-file.ts';
import { errorCode, SystemError } from '../host/system-error.ts';

const NOTHING: CdbFile = { find: () => undefined, close: () => {} };

/** Opens it; one that does not exist has no entries. @throws SystemError */
export function openMoreRcpthosts(home: string): CdbFile {
  try {
    return openCdbFile(`${home}/control/morercpthosts.cdb`);
  } catch (error) {
    if (error instanceof SystemError && errorCode(error.cause) === 'ENOENT') return NOTHING;
    throw error;
  }
}
