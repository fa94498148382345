// A message by the real path: sendmail of the installation, its queue program, its server. Where the hub is on this host, its events
// tell what became of it. The one thing that the doctor changes, and only when it is asked to.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { programOfHome } from '../host/home-program.ts';
import { eventFolder } from '../hub/event-files.ts';
import { findEventsOf, findMessagesOf, type KeptEvent } from '../hub/event-search.ts';
import { within } from './deadline.ts';
import { type Finding, Findings } from './finding.ts';
import type { Installation } from './installation.ts';

/** How a program ended. */
export interface ProgramEnd {
  readonly exit: number | null;
  readonly stderr: string;
}

const SENDMAIL_MS = 8000;
const FOLLOW_MS = 4000;
const LOOK_MS = 200;
const LAST_EVENTS: readonly string[] = [
  'delivery.success',
  'delivery.failure',
  'delivery.deferral',
  'bounce',
];

/** Sends a message to that address and tells what came of it. */
export async function sendTest(
  installation: Installation,
  address: string,
  hostname: string,
): Promise<Finding[]> {
  const { home, ownBin } = installation;
  const messageId = `${Date.now()}.${randomBytes(6).toString('hex')}.doctor@${hostname}`;
  const message = `To: ${address}
Subject: test from ${hostname}
Message-ID: <${messageId}>

This is a test of mail from ${hostname}, sent by mini-qmail doctor --send.
`;
  const program = programOfHome(home, ownBin, 'sendmail');
  const env = environmentFor(installation);
  const end = await within(runSendmail(program, env, address, message), SENDMAIL_MS, undefined);
  const findings = judgeSend(address, end);
  if (end?.exit !== 0 || !installation.hasQueue) return findings;
  return [...findings, ...(await follow(home, messageId, address))];
}

/** A hub's home without programs and servers of its own is reached as its own programs reach it. */
function environmentFor({ home, ownBin, env, hasQueue }: Installation): Installation['env'] {
  const isDirect = hasQueue && !existsSync(`${home}/bin`) && !existsSync(`${home}/control/qmqpservers`);
  return { ...(isDirect && { QMAILQUEUE: `${ownBin}/hub-queue` }), ...env, QMAILHOME: home };
}

function runSendmail(
  program: string,
  env: { readonly [name: string]: string | undefined },
  address: string,
  message: string,
): Promise<ProgramEnd> {
  return new Promise((resolve) => {
    const child = spawn(program, ['-i', '--', address], { env, stdio: ['pipe', 'ignore', 'pipe'] });
    const said = text(child.stderr).catch(() => '');
    child.on('error', (error) => resolve({ exit: null, stderr: error.message }));
    child.on('close', (exit) => void said.then((stderr) => resolve({ exit, stderr })));
    child.stdin.on('error', () => undefined);
    child.stdin.end(message);
  });
}

/** Judges how sendmail ended. @param end undefined if it has not yet */
export function judgeSend(address: string, end: ProgramEnd | undefined): Finding[] {
  const found = new Findings('send');
  const remedy =
    'mend what the other findings say; mini-qmail explain sendmail ADDRESS shows what it would do';
  if (end === undefined)
    found.error(address, `sendmail is still trying after ${SENDMAIL_MS / 1000} seconds`, remedy);
  else if (end.exit === 0) found.ok(address, 'a server has taken the message');
  else {
    const said = end.stderr.trim().replaceAll('\n', '; ').slice(0, 200);
    found.error(address, `sendmail ended with ${end.exit ?? 'a signal'}: ${said}`, remedy);
  }
  return found.list;
}

/** Looks at the events of the hub until the message has had an attempt. */
async function follow(home: string, messageId: string, address: string): Promise<Finding[]> {
  const untilMs = performance.now() + FOLLOW_MS;
  let events: KeptEvent[] = [];
  for (;;) {
    const ids = await findMessagesOf(eventFolder(home), messageId).catch(() => []);
    if (ids.length > 0) events = await findEventsOf(eventFolder(home), ids).catch(() => []);
    const isOver = events.some(({ event }) => LAST_EVENTS.includes(event));
    if (isOver || performance.now() > untilMs) return judgeEvents(address, events);
    await pause(LOOK_MS);
  }
}

/** Judges what the hub has told of the message. */
export function judgeEvents(address: string, events: readonly KeptEvent[]): Finding[] {
  const found = new Findings('send');
  const last = events.findLast(({ event }) => event.startsWith('delivery.'));
  const remedy = `mini-qmail why ${last?.id ?? address}`;
  const said = String(last?.['text'] ?? '').trim();
  if (events.length === 0) found.note(address, 'the hub of this home has not told of it yet', remedy);
  else if (last === undefined) found.note(address, 'is in the queue, not tried yet', remedy);
  else if (last.event === 'delivery.success') found.ok(address, `delivered: ${said || 'no words'}`);
  else if (last.event === 'delivery.deferral') found.warning(address, `not delivered yet: ${said}`, remedy);
  else found.error(address, `cannot be delivered: ${said}`, remedy);
  return found.list;
}
