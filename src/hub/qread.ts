// qmail-qread and qmail-qstat: what is in the queue, in the words of the originals. The running hub is asked; when none
// runs the queue is opened for that moment. Source: the qmail-qread and qmail-qstat manual pages.

import { formatDate } from '../core/message/date.ts';
import { SYSTEM_CLOCK } from '../host/clock.ts';
import { reasonOf } from '../host/system-error.ts';
import { askForQueue, askHub } from './admin-socket.ts';
import { openStore } from './open-store.ts';
import { type QueuedMessageJson, toJsonLine } from './queued-message-json.ts';

/** Exit code as of all our programs: the environment is in the way. */
const EXIT_TEMPORARY = 111;
const CHANNELS = ['local', 'remote'] as const;

/**
 * A message as qmail-qread shows it: a line with date, number, size and sender, ` bouncing` if a recipient has failed; then a
 * line for each recipient of a channel that has something left to do, those with nothing left to do marked `done`.
 */
export function formatQread(message: QueuedMessageJson): string {
  const { id, accepted, bytes, sender, recipients } = message;
  const date = formatDate(Date.parse(accepted)).replace(/ -0000$/, ' GMT');
  const bouncing = recipients.some(({ state }) => state === 'failed') ? ' bouncing' : '';
  let text = `${date}  #${id}  ${bytes}  <${safe(sender)}> ${bouncing}\n`;
  for (const channel of CHANNELS) {
    const own = recipients.filter((recipient) => recipient.channel === channel);
    if (!own.some(({ state }) => state === 'todo')) continue;
    for (const { address, state } of own)
      text += `${state === 'todo' ? '' : '  done'}\t${channel}\t${safe(address)}\n`;
  }
  return text;
}

/** Prints the queue as qmail-qread does, what goes wrong too. @returns the exit code */
export async function runQread(home: string, print: (text: string) => void): Promise<number> {
  let rest = '';
  const take = (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) print(formatQread(JSON.parse(line)));
  };
  try {
    if (await askForQueue(home, take)) return 0;
    const queue = await openStore(home, SYSTEM_CLOCK);
    for await (const message of queue.list()) take(toJsonLine(message));
    await queue.close();
    return 0;
  } catch (error) {
    print(`fatal: ${reasonOf(error)}\n`);
    return EXIT_TEMPORARY;
  }
}

/** Prints how many messages there are, as qmail-qstat does. @returns the exit code */
export async function runQstat(home: string, print: (text: string) => void): Promise<number> {
  try {
    let answer = '';
    const isAnswered = await askHub(home, '/stats', (text) => {
      answer += text;
    });
    const { messages } = isAnswered ? JSON.parse(answer) : await readStats(home);
    print(`messages in queue: ${messages}\nmessages in queue but not yet preprocessed: 0\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`qmail-qstat: fatal: ${reasonOf(error)}\n`);
    return EXIT_TEMPORARY;
  }
}

async function readStats(home: string): Promise<{ messages: number }> {
  const queue = await openStore(home, SYSTEM_CLOCK);
  const { messages } = queue.stats();
  await queue.close();
  return { messages };
}

/** Every byte that is neither printable ASCII nor a blank becomes `_`. */
function safe(text: string): string {
  let shown = '';
  for (const character of text) {
    const isPlain = character >= ' ' && character <= '~';
    // What the JSON could not show stands for one byte.
    shown += isPlain ? character : '_'.repeat(character === '\uFFFD' ? 1 : Buffer.byteLength(character));
  }
  return shown;
}
