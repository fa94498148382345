// The rules of tcpserver's -x, looked up for each connection in the file that has the name at that moment. The file is kept
// open between connections and opened anew when another one has taken its name or it was written to, so a change counts from
// the next connection on. Invariant: a file that cannot be read lets nobody in.

import { statSync } from 'node:fs';
import {
  findTcpRule,
  readTcpRuleData,
  type TcpClient,
  type TcpRuleVerdict,
} from '../core/policy/tcp-rules.ts';
import { type CdbFile, openCdbFile } from '../host/cdb-file.ts';
import { errorCode, SystemError } from '../host/system-error.ts';

/** What holds for a client; undefined if no rule does, so that it may connect. @throws SystemError */
export type FindVerdict = (client: TcpClient) => TcpRuleVerdict | undefined;

/** Makes the look-up. @param mayLack whether a file that does not exist is like one without rules */
export function openRulesFile(path: Uint8Array, mayLack: boolean): FindVerdict {
  const name = Buffer.from(path);
  let open: { readonly cdb: CdbFile; readonly version: string } | undefined;

  function current(): CdbFile | undefined {
    const version = versionOf(name);
    if (open !== undefined && open.version === version) return open.cdb;
    open?.cdb.close();
    open = undefined;
    if (version === undefined && mayLack) return undefined;
    const cdb = openCdbFile(name);
    if (version !== undefined) open = { cdb, version };
    return cdb;
  }

  return (client) => {
    const cdb = current();
    if (cdb === undefined) return undefined;
    try {
      const rule = findTcpRule(cdb.find, client);
      return rule && readTcpRuleData(rule.data);
    } finally {
      if (open?.cdb !== cdb) cdb.close();
    }
  };
}

/** What tells one file, and one state of it, from another; undefined if no file has the name. */
function versionOf(path: Buffer): string | undefined {
  try {
    const { dev, ino, mtimeNs, ctimeNs, size } = statSync(path, { bigint: true });
    return `${dev} ${ino} ${mtimeNs} ${ctimeNs} ${size}`;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new SystemError('read', String(path), error);
  }
}
