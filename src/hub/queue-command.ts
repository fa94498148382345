// `mini-qmail queue ls`: asks the running hub, or reads the queue, or what has bounced and is kept, itself when none runs.

import { existsSync } from 'node:fs';
import { SYSTEM_CLOCK } from '../host/clock.ts';
import { reasonOf } from '../host/system-error.ts';
import { askHub } from './admin-socket.ts';
import { openBounced } from './bounced-files.ts';
import { bouncedForPeople, toBouncedLine } from './bounced-json.ts';
import { openStore } from './open-store.ts';
import { type QueuedMessageJson, shown, toJsonLine } from './queued-message-json.ts';

/** What to list, and how. */
export interface ListArguments {
  readonly home: string;
  readonly json: boolean;
  /** What has bounced, in place of what is queued. */
  readonly bounced: boolean;
}

/** Prints what is queued, as lines for people or as JSON lines. @returns the exit code */
export async function runQueueLs({ home, json, bounced }: ListArguments): Promise<number> {
  const format = bounced ? bouncedForPeople : forPeople;
  const print = (line: string) => process.stdout.write(json ? line : format(JSON.parse(line)));
  let rest = '';
  const take = (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) print(`${line}\n`);
  };
  try {
    if (!(await askHub(home, bounced ? '/bounced' : '/queue', take)))
      await (bounced ? readBounced(home, take) : readQueue(home, take));
    return 0;
  } catch (error) {
    process.stderr.write(`mini-qmail queue ls: fatal: ${reasonOf(error)}\n`);
    return 111;
  }
}

async function readQueue(home: string, take: (line: string) => void): Promise<void> {
  const folder = `${home}/queue`;
  if (!existsSync(folder))
    throw new Error(`Cannot read the queue of ${home}: there is no folder queue in it`);
  const queue = await openStore(home, SYSTEM_CLOCK);
  for await (const message of queue.list()) take(toJsonLine(message));
  await queue.close();
}

async function readBounced(home: string, take: (line: string) => void): Promise<void> {
  const bounced = openBounced(home, SYSTEM_CLOCK);
  for await (const message of bounced.list()) take(toBouncedLine(message));
  await bounced.close();
}

/** A message as lines. */
export function forPeople(message: QueuedMessageJson): string {
  const route = message.route === undefined ? '' : `  by ${shown(message.route)}`;
  const head = `${message.accepted}  #${message.id}  ${message.bytes}  <${shown(message.sender)}>${route}\n`;
  const rows = message.recipients.map(({ address, channel, state }) => {
    const due = message.nextAttempt[channel] ?? (message.held === true ? 'never: held' : 'attempt under way');
    const next = state === 'todo' ? `next ${due}` : state;
    return `  ${channel}\t${shown(address)}\t${next}\n`;
  });
  return head + rows.join('');
}
