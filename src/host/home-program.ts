// Where the programs of an installation are.

import { existsSync } from 'node:fs';

/** Path of a program of the home: in its `bin`, or beside our own programs if the home has no such folder. */
export function programOfHome(home: string, ownBin: string, name: string): string {
  const bin = `${home}/bin`;
  return `${existsSync(bin) || !existsSync(home) ? bin : ownBin}/${name}`;
}
