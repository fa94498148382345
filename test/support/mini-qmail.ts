// The administrator's command as a process.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { ROOT } from './client-vectors.ts';

/** Runs `mini-qmail` with these words, in whatever is the environment. @returns exit code and what it printed, as Latin-1 */
export async function miniQmail(
  ...words: readonly string[]
): Promise<{ status: number; stdout: string; stderr: string }> {
  const child = spawn(join(ROOT, 'bin/mini-qmail'), words, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('latin1').on('data', (text: string) => {
    stderr += text;
  });
  const [status] = await once(child, 'close');
  return { status, stdout, stderr };
}

/** What `mini-qmail why` says once that matches: events come to the disk a moment after they happen. */
export async function untilTold(home: string, word: string, pattern: RegExp): Promise<string> {
  for (;;) {
    const { stdout } = await miniQmail('why', '--home', home, word);
    if (pattern.test(stdout)) return stdout;
  }
}
