// Finds events in the files of event-files.ts. Files are searched as bytes; only lines that have what is looked for are read
// as JSON, so a gigabyte takes a few seconds.

import { createReadStream } from 'node:fs';
import { listEventFiles } from './event-files.ts';

/** An event as it is kept: `time`, `event`, and its facts. */
export interface KeptEvent {
  readonly time: string;
  readonly event: string;
  readonly id: number;
  readonly [fact: string]: string | number;
}

const CHUNK_BYTES = 1 << 20;
const LINE_BYTES_MAX = 1 << 20;
const LF = 10;
const DIGIT_ZERO = 48;

/**
 * Messages of that sender, recipient or Message-ID (with or without brackets), by number, oldest first. A word without `@` is a local
 * part too, of any domain.
 */
export async function findMessagesOf(folder: string, word: string): Promise<number[]> {
  const bare = word.startsWith('<') && word.endsWith('>') ? word.slice(1, -1) : word;
  const words = [bare, `<${bare}>`];
  const ids = new Set<number>();
  const needles = words.map((one) => JSON.stringify(one));
  const local = bare.includes('@') || bare === '' ? undefined : `${bare}@`;
  if (local !== undefined) needles.push(JSON.stringify(local).slice(0, -1));
  const isMeant = (one: string | number | undefined) =>
    words.includes(String(one ?? '\n')) || (local !== undefined && String(one ?? '').startsWith(local));
  for await (const { id, sender, recipient, messageId } of findEvents(folder, needles)) {
    if (isMeant(sender) || isMeant(recipient) || words.includes(String(messageId ?? '\n'))) ids.add(id);
  }
  return [...ids].sort((a, b) => a - b);
}

/** What happened to messages, in order; their bounces' own numbers lead to them as well. */
export async function findEventsOf(folder: string, ids: readonly number[]): Promise<KeptEvent[]> {
  const events: KeptEvent[] = [];
  const wanted = new Set(ids);
  const isWanted = (lines: Buffer, end: number) => wanted.has(numberAt(lines, end));
  for await (const event of findEvents(folder, ['"id":', '"bounceId":'], isWanted)) events.push(event);
  return events;
}

/** The number that begins there. */
function numberAt(lines: Buffer, begin: number): number {
  let value = 0;
  for (let at = begin; ; at++) {
    const digit = lines[at]! - DIGIT_ZERO;
    if (!(digit >= 0 && digit <= 9)) return value;
    value = value * 10 + digit;
  }
}

/** Whether what was found in the lines counts, given where it ends. */
type IsWanted = (lines: Buffer, end: number) => boolean;

/** Events whose line has one of the texts, so that it counts. */
async function* findEvents(
  folder: string,
  texts: readonly string[],
  isWanted: IsWanted = () => true,
): AsyncIterable<KeptEvent> {
  const needles = texts.map((text) => Buffer.from(text));
  for (const name of await listEventFiles(folder)) {
    let rest = Buffer.alloc(0);
    const path = `${folder}/${name}`;
    for await (const piece of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
      const bytes = Buffer.concat([rest, piece as Buffer]);
      const end = bytes.lastIndexOf(LF) + 1;
      yield* eventsIn(bytes.subarray(0, end), needles, isWanted);
      rest = bytes.subarray(end);
      // Nothing of ours is that long.
      if (rest.length > LINE_BYTES_MAX) rest = Buffer.alloc(0);
    }
  }
}

function* eventsIn(lines: Buffer, needles: readonly Buffer[], isWanted: IsWanted): Iterable<KeptEvent> {
  const starts = new Set<number>();
  for (const needle of needles) {
    for (let at = lines.indexOf(needle); at >= 0; at = lines.indexOf(needle, at + needle.length))
      if (isWanted(lines, at + needle.length)) starts.add(lines.lastIndexOf(LF, at) + 1);
  }
  for (const start of [...starts].sort((a, b) => a - b)) {
    const event = parseEvent(lines.toString('utf8', start, lines.indexOf(LF, start)));
    if (event !== undefined) yield event;
  }
}

/** Undefined for what a crash has left of a line. */
function parseEvent(line: string): KeptEvent | undefined {
  try {
    const event = JSON.parse(line);
    return typeof event?.id === 'number' ? event : undefined;
  } catch {
    return undefined;
  }
}
