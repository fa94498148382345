// qmail-newmrh: compiles control/morercpthosts, the domains beyond those of rcpthosts that qmail-smtpd accepts mail for, into
// control/morercpthosts.cdb, where it finds them however many they are.
// Source: the qmail-newmrh manual page. Differs: the new name is flushed.

import { readFileSync } from 'node:fs';
import { failOnSystem } from '../client/fatal.ts';
import { insist, Trouble } from '../client/trouble.ts';
import { bytesOf, lowerCase } from '../core/bytes/bytes.ts';
import { LineCutter } from '../core/bytes/line-cutter.ts';
import { trimRight } from '../core/format/control-file.ts';
import { CdbFileWriter } from '../host/cdb-file-writer.ts';
import type { ProgramCall } from '../host/program-call.ts';
import { replaceFile } from './replace-file.ts';

const PROGRAM = 'qmail-newmrh';
const SOURCE = 'control/morercpthosts';
const TMP = 'control/morercpthosts.tmp';
const CDB = 'control/morercpthosts.cdb';
const HASH = 35;
const NOTHING = new Uint8Array(0);

/** Runs qmail-newmrh to its end; returns its exit code. */
export function runQmailNewmrh({ home }: ProgramCall): number {
  process.umask(0o033);
  try {
    insist([`chdir to ${home}`], () => process.chdir(home));
    const hosts = insist([`read ${SOURCE}`], () => readFileSync(SOURCE));
    insist([`write to ${TMP}`], () => writeHosts(hosts));
    replaceFile(bytesOf(TMP), bytesOf(CDB));
    return 0;
  } catch (error) {
    if (error instanceof Trouble) return failOnSystem(PROGRAM, error.action, error.cause);
    throw error;
  }
}

/** One record per line, in lower case and without data; comments and empty lines are left out. */
function writeHosts(text: Uint8Array): void {
  const writer = new CdbFileWriter(bytesOf(TMP));
  const lines = new LineCutter((line) => {
    const host = trimRight(line);
    if (host.length > 0 && host[0] !== HASH) writer.add(lowerCase(host), NOTHING);
  });
  lines.receive(text);
  lines.receiveEnd();
  writer.finish();
}
