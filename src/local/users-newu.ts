// qmail-newu: compiles users/assign, which says who gets the mail of which local address, into users/cdb, where it is looked
// up. Whoever looks up meanwhile finds the old file or the new one, whole.
// Source: the qmail-newu manual page. Differs: the new name is flushed, not only the file.

import { readFileSync, renameSync } from 'node:fs';
import { failTemporarily } from '../client/fatal.ts';
import { bytesOf } from '../core/bytes/bytes.ts';
import { compileAssignments } from '../core/format/users-assign.ts';
import { CdbFileWriter } from '../host/cdb-file-writer.ts';
import { flushFolderOfMoved } from '../host/flush-folder.ts';
import type { ProgramCall } from '../host/program-call.ts';
import { errorCode } from '../host/system-error.ts';

const SOURCE = 'users/assign';
const TMP = 'users/cdb.tmp';
const CDB = 'users/cdb';

/** Runs qmail-newu to its end; returns its exit code. The texts do not say which error it was: that is how they always were. */
export function runQmailNewu({ home }: Pick<ProgramCall, 'home'>): number {
  process.umask(0o033);
  let doing = 'chdir';
  try {
    process.chdir(home);
    doing = `open ${SOURCE}`;
    const text = readFileSync(SOURCE);
    doing = `open ${TMP}`;
    const writer = new CdbFileWriter(bytesOf(TMP));
    doing = `write ${TMP}`;
    const isGood = compileAssignments(text, (key, data) => writer.add(key, data));
    if (!isGood) return failTemporarily('qmail-newu', `bad format in ${SOURCE}`);
    writer.finish();
    doing = `move ${TMP} to ${CDB}`;
    renameSync(TMP, CDB);
    flushFolderOfMoved(Buffer.from(CDB));
    return 0;
  } catch (error) {
    if (error instanceof RangeError) return failTemporarily('qmail-newu', 'out of memory');
    // The file could be opened: that it is a folder shows when it is read.
    if (doing === `open ${SOURCE}` && errorCode(error) === 'EISDIR') doing = `read ${SOURCE}`;
    return failTemporarily('qmail-newu', `unable to ${doing}`);
  }
}
