// maildirmake: makes a Maildir that nobody but its owner can look into, whatever the umask.
// Source: the maildirmake manual page; cr.yp.to/proto/maildir.html.

import { mkdirSync } from 'node:fs';
import type { ProgramWords } from '../host/program-words.ts';
import { failOnSystem } from './fatal.ts';
import { refuseUsage } from './refuse.ts';

const PROGRAM = 'maildirmake';
const SUBFOLDERS = ['tmp', 'new', 'cur'];

/** Runs maildirmake to its end; returns its exit code. What was made before an error stays. */
export function runMaildirmake({ args: [name] }: ProgramWords): number {
  if (name === undefined) return refuseUsage(PROGRAM, 'maildirmake name');
  process.umask(0o077);
  const paths = [name, ...SUBFOLDERS.map((subfolder) => Buffer.concat([name, Buffer.from(`/${subfolder}`)]))];
  for (const path of paths) {
    try {
      mkdirSync(Buffer.from(path), 0o700);
    } catch (error) {
      return failOnSystem(PROGRAM, ['mkdir ', path], error);
    }
  }
  return 0;
}
