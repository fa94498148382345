// Finds out whether a client may send mail, and talks with one that may not.

import { bytesOf, concatBytes } from '../core/bytes/bytes.ts';
import { type ClientList, ClientScreening } from '../core/policy/client-screening.ts';
import { RefusingSession } from '../core/protocol/smtp/refusing-session.ts';
import { complain } from '../host/blocking-io.ts';
import type { Clock } from '../host/clock.ts';
import type { ByteInput, ByteOutput } from '../host/descriptor-io.ts';
import type { AskDns } from '../host/dns-client.ts';

/** A client, and who to ask. */
export interface ScreenedClient {
  /** `$TCPREMOTEIP`. */
  readonly ip: Uint8Array;
  readonly lists: readonly ClientList[];
  /** `$RBLSMTPD`, if it is set. */
  readonly given: Uint8Array | undefined;
  readonly askDns: AskDns;
}

/** The line that refuses the client; undefined if there is nothing against it. */
export async function findRefusal({ askDns, ...client }: ScreenedClient): Promise<Uint8Array | undefined> {
  const screening = new ClientScreening(client);
  for (;;) {
    const step = screening.next();
    if ('refusal' in step) return step.refusal;
    screening.answer(await askDns(step.name, step.type));
  }
}

/** A connection, and how long the conversation may last. */
export interface RefusalOptions {
  readonly input: ByteInput;
  readonly output: ByteOutput;
  readonly clock: Clock;
  /** 0 says the refusal in place of a greeting, and no more. */
  readonly timeoutMs: number;
  readonly ip: Uint8Array;
  readonly pid: number;
}

/** Logs the refusal and tells it the client, whatever that says, until it leaves or the time is over. */
export async function refuseClient(refusal: Uint8Array, options: RefusalOptions): Promise<void> {
  const { output, clock, timeoutMs, ip, pid } = options;
  complain(concatBytes([bytesOf('rblsmtpd: '), ip, bytesOf(` pid ${pid}: `), refusal, bytesOf('\n')]));
  if (timeoutMs === 0) {
    await output.write([refusal, bytesOf('\r\n')]);
    return;
  }
  let callOff = () => {};
  const timeIsOver = new Promise<void>((resolve) => {
    callOff = clock.after(timeoutMs, resolve);
  });
  await Promise.race([converse(new RefusingSession(refusal), options), timeIsOver]);
  callOff();
}

async function converse(session: RefusingSession, { input, output }: RefusalOptions): Promise<void> {
  while ((await output.write(session.takeOutput())) && !session.isOver) {
    const bytes = await input.read();
    if (bytes === undefined) return;
    session.receive(bytes);
  }
}
