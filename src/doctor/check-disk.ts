// Room on the disks that mail is written to, and whether what is flushed there stays there.

import { statfsSync } from 'node:fs';
import { reasonOf } from '../host/system-error.ts';
import { type Finding, Findings } from './finding.ts';

/** What statfs(2) tells of a file system. */
export interface FileSystemFacts {
  /** Its magic number. */
  readonly type: number;
  readonly bsize: number;
  readonly blocks: number;
  /** Free blocks for this process. */
  readonly bavail: number;
  /** Nodes: names that it can have, and those that are left; 0 where there is no such limit. */
  readonly files: number;
  readonly ffree: number;
}

/** File systems on which a flush means nothing, or something else than on a disk. Source: statfs(2). */
const UNSAFE_TYPES: { readonly [type: number]: string } = {
  16914836: 'tmpfs, which is memory: its content is gone after a restart',
  2240043254: 'ramfs, which is memory: its content is gone after a restart',
  2035054128: 'overlay, whose upper layer goes with its container unless that is kept',
  26985: 'NFS, where a lock and a flush depend on the server and its options',
  20859: 'SMB, where a lock and a flush depend on the server and its options',
  4283649346: 'CIFS, where a lock and a flush depend on the server and its options',
};
const LEFT_BYTES_MIN = 64 << 20;
const LEFT_PART_MIN = 0.05;

/** Looks at the file system of a folder in which mail is kept. @param check name of the check that asks */
export function checkDisk(check: string, folder: string): Finding[] {
  try {
    return judgeDisk(check, folder, statfsSync(folder));
  } catch (error) {
    const found = new Findings(check);
    found.warning(folder, `cannot be looked at: ${reasonOf(error)}`, `ls -ld ${folder}`);
    return found.list;
  }
}

/** Judges a file system in which mail is kept. */
export function judgeDisk(check: string, folder: string, facts: FileSystemFacts): Finding[] {
  const found = new Findings(check);
  const unsafe = UNSAFE_TYPES[facts.type];
  if (unsafe !== undefined) {
    const remedy = 'move it to a file system on a disk of this host, or a volume that is kept';
    found.warning(folder, `is on ${unsafe}`, remedy);
  }
  const left = facts.bavail * facts.bsize;
  const part = facts.blocks === 0 ? 1 : facts.bavail / facts.blocks;
  const shown = `${Math.floor(left / (1 << 20))} MB (${Math.floor(part * 100)} %) are left`;
  const remedy = 'make room on that disk: mail is refused for now before it is full';
  if (left < LEFT_BYTES_MIN) found.error(folder, shown, remedy);
  else if (part < LEFT_PART_MIN && left < LEFT_BYTES_MIN * 16) found.warning(folder, shown, remedy);
  else if (facts.files > 0 && facts.ffree / facts.files < LEFT_PART_MIN / 5) {
    found.warning(folder, `${facts.ffree} more files can be made there`, 'remove files from that disk');
  } else if (unsafe === undefined) found.ok(folder, shown);
  return found.list;
}
