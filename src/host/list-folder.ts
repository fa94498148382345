// Folders that are made when they are first needed.

import { promises as fs } from 'node:fs';
import { errorCode } from './system-error.ts';

/** The names in a folder; none if there is no folder. @throws Error of the system */
export async function listIfPresent(folder: string): Promise<string[]> {
  try {
    return await fs.readdir(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
