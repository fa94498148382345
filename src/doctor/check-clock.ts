// Whether the clock of this host can be believed: Date fields, Message-IDs, retry times and certificates depend on it.

import { execFile } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { type Finding, Findings } from './finding.ts';

/** What is known about the clock. */
export interface ClockFacts {
  readonly nowMs: number;
  /** When something of the installation was written last, by the clock of that time. */
  readonly newestMs: number;
  /** Whether something keeps the clock right; undefined if nobody knows. */
  readonly isSynchronized: boolean | undefined;
}

const STEP_MS = 60_000;
const TIMEDATECTL_MS = 2000;
const SYNCHRONIZED_MARK = '/run/systemd/timesync/synchronized';

/** Judges the clock. */
export function judgeClock({ nowMs, newestMs, isSynchronized }: ClockFacts): Finding[] {
  const found = new Findings('clock');
  const now = new Date(nowMs).toISOString();
  const remedy = 'set the clock, and let chrony or systemd-timesyncd keep it right';
  if (newestMs > nowMs + STEP_MS) {
    const seen = `it is ${now}, but the installation has a file of ${new Date(newestMs).toISOString()}`;
    found.error('clock', seen, remedy);
  } else if (isSynchronized === false) found.warning('clock', `${now}, kept right by nobody`, remedy);
  else if (isSynchronized === undefined)
    found.note('clock', `${now}; who keeps it right cannot be seen here`);
  else found.ok('clock', `${now}, synchronized`);
  return found.list;
}

/** Looks at the clock and at what tells of it. */
export async function readClockFacts(home: string): Promise<ClockFacts> {
  const isSynchronized = await readSynchronized();
  return { nowMs: Date.now(), newestMs: newestFile(home), isSynchronized };
}

function newestFile(home: string): number {
  let newestMs = 0;
  for (const folder of ['control', 'queue', 'queue/journal', 'bin']) {
    let names: string[] = [];
    try {
      names = readdirSync(`${home}/${folder}`);
    } catch {
      // What is not there tells nothing.
    }
    for (const name of names) {
      const status = statSync(`${home}/${folder}/${name}`, { throwIfNoEntry: false });
      newestMs = Math.max(newestMs, status?.mtimeMs ?? 0);
    }
  }
  return newestMs;
}

async function readSynchronized(): Promise<boolean | undefined> {
  if (existsSync(SYNCHRONIZED_MARK)) return true;
  const words = ['show', '--property=NTPSynchronized', '--value'];
  const said = await new Promise<string>((resolve) => {
    execFile('timedatectl', words, { timeout: TIMEDATECTL_MS }, (_, stdout) => resolve(stdout.trim()));
  });
  return said === 'yes' ? true : said === 'no' ? false : undefined;
}
