// The hub itself: whether it runs, what it says of its queue, and the queue's folder. Only asks and looks.

import { statSync } from 'node:fs';
import { reasonOf } from '../host/system-error.ts';
import { callHub } from '../hub/admin-socket.ts';
import type { HubStats } from '../hub/stats.ts';
import { checkDisk } from './check-disk.ts';
import { within } from './deadline.ts';
import { type Finding, Findings, plural } from './finding.ts';
import type { RunningHub } from './hub-process.ts';
import type { Installation } from './installation.ts';

const ANSWER_MS = 5000;
const DAY_SECONDS = 86_400;
const OTHERS = 0o077;
const ROOT = 0;

/** What the socket of the hub said: its numbers, that nobody listens, or why that cannot be told. */
export type HubAnswer = HubStats | 'not running' | { readonly failed: string };

/** Looks at the hub of a home that has a queue. */
export async function checkHub(
  { home, hasQueue }: Installation,
  hub: RunningHub | undefined,
): Promise<Finding[]> {
  if (!hasQueue) {
    const found = new Findings('hub');
    found.note(home, 'no hub has run here yet', 'name the home of your hub: mini-qmail doctor --home DIR');
    return found.list;
  }
  return [...judgeHub(await askStats(home), hub), ...checkQueueFolder(home)];
}

async function askStats(home: string): Promise<HubAnswer> {
  let text = '';
  const onBytes = (bytes: Uint8Array) => {
    text += Buffer.from(bytes).toString();
  };
  try {
    const status = await within(callHub(home, { path: '/stats', onBytes }), ANSWER_MS, 'late' as const);
    if (status === 'late') return { failed: `no answer within ${ANSWER_MS / 1000} seconds` };
    return status === 200 ? JSON.parse(text) : 'not running';
  } catch (error) {
    return { failed: reasonOf(error) };
  }
}

/** Judges what the hub says of itself. @param hub the process, if it can be seen */
export function judgeHub(answer: HubAnswer, hub: RunningHub | undefined): Finding[] {
  const found = new Findings('hub');
  if (answer === 'not running') {
    const remedy =
      'start it: systemctl start mini-qmail-hub, or mini-qmail hub --home DIR; port 628 needs CAP_NET_BIND_SERVICE';
    if (hub === undefined) found.error('hub', 'does not run: mail neither comes in nor leaves', remedy);
    else {
      const seen = `runs as process ${hub.pid}, but its socket run/hub.sock is not there`;
      found.warning('hub', seen, 'look into its log for admin.trouble, and start it again');
    }
    return found.list;
  }
  if ('failed' in answer) {
    const remedy = 'run the doctor as root or as the user of the hub';
    if (/EACCES|EPERM/.test(answer.failed)) found.note('hub', 'this user may not ask it', remedy);
    else found.error('hub', `does not answer: ${answer.failed}`, 'look into its log, and start it again');
    return found.list;
  }
  judgeStats(answer, hub, found);
  return found.list;
}

function judgeStats({ gauges, recipients }: HubStats, hub: RunningHub | undefined, found: Findings): void {
  const where = hub?.options.get('qmqp');
  const place = where === undefined ? '' : `, takes mail on ${where}`;
  found.ok('hub', `runs${hub === undefined ? '' : ` as process ${hub.pid}`}${place}`);
  const { queued, held, oldestSeconds } = gauges;
  const age =
    oldestSeconds < DAY_SECONDS ? 'less than a day' : plural(Math.floor(oldestSeconds / DAY_SECONDS), 'day');
  if (queued > 0 && oldestSeconds >= DAY_SECONDS)
    found.note(
      'queue',
      `${plural(queued, 'message')}, the oldest waits for ${age}`,
      'mini-qmail queue ls tells why',
    );
  else
    found.ok(
      'queue',
      queued === 0 ? 'is empty' : `${plural(queued, 'message')}, the oldest waits for ${age}`,
    );
  if (held > 0)
    found.note('queue', `${plural(held, 'message')} held by an operator`, 'mini-qmail queue release --all');
  const { atStart, accepted, delivered, failed, removed, queued: left } = recipients;
  const lost = atStart + accepted - delivered - failed - removed - left;
  if (lost !== 0) {
    const remedy = 'keep its log and events, and tell the makers of mini-qmail';
    found.error('queue', `${plural(lost, 'recipient')} unaccounted for since the hub started`, remedy);
  }
}

function checkQueueFolder(home: string): Finding[] {
  const found = new Findings('hub');
  const folder = `${home}/queue`;
  try {
    const { mode, uid } = statSync(folder);
    if ((mode & OTHERS) !== 0)
      found.error(folder, 'other users may look into it, where messages are', `chmod 700 ${folder}`);
    if (uid === ROOT && process.getuid?.() === ROOT) {
      const remedy = `stop the hub, give it a user of its own, and chown -R USER ${folder}`;
      found.note(folder, 'belongs to root: the hub needs no root', remedy);
    }
  } catch (error) {
    found.error(folder, reasonOf(error), `ls -ld ${folder}`);
  }
  return [...found.list, ...checkDisk('hub', folder)];
}
