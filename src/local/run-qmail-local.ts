// qmail-local: delivers one message to one user of this system, or says how it would, as the user's dot-qmail file asks for.
// The caller has become that user already. Instructions are carried out in order and the first that fails ends all; what
// is to be forwarded goes out last, in one message.
// Source: the qmail-local, dot-qmail and qmail-command manual pages.

import { refuseUsage } from '../client/refuse.ts';
import { concatBytes, equalBytes, untilNul } from '../core/bytes/bytes.ts';
import { parseShortOptions } from '../core/format/short-options.ts';
import { HeaderLineFinder } from '../core/message/delivery-lines.ts';
import { type DotQmailInstruction, DotQmailReader } from '../core/policy/dot-qmail.ts';
import {
  type DeliveryLines,
  formatDeliveryLines,
  type LocalRecipient,
  listVariables,
  ownerAddress,
} from '../core/policy/dot-qmail-environment.ts';
import { complain, writeBlocking } from '../host/blocking-io.ts';
import type { ProgramCall } from '../host/program-call.ts';
import { SystemError } from '../host/system-error.ts';
import { deliverToMaildir } from './deliver-to-maildir.ts';
import { deliverToMbox } from './deliver-to-mbox.ts';
import { deliverToProgram } from './deliver-to-program.ts';
import { DeliveryFailure, deferral, rejection } from './delivery-failure.ts';
import { forwardMessage } from './forward-message.ts';
import { enterHome, findOwner, openDotQmail, readDotQmail } from './home.ts';
import { readMessage, unreadableMessage } from './message.ts';
import { type LocalPlatform, SYSTEM_PLATFORM } from './platform.ts';

const PROGRAM = 'qmail-local';
const USAGE = 'qmail-local [ -nN ] user homedir local dash ext domain sender aliasempty';
const WORD_COUNT = 8;
const SLASH = 47;
const LF = new Uint8Array([10]);
/** Sender of a notice that nobody is to be told of. */
const NO_BOUNCES = Buffer.from('#@[]');

/** Runs qmail-local to its end; returns its exit code. The process is in the user's home directory then. */
export async function runQmailLocal(call: ProgramCall, platform = SYSTEM_PLATFORM): Promise<number> {
  const { options, words, problem } = parseShortOptions(call.args, {
    plain: 'nN',
    withArgument: '',
    withRest: '',
  });
  if (problem !== undefined) complain(`${PROGRAM}: ${problem}\n`);
  if (problem !== undefined || words.length !== WORD_COUNT || words[1]![0] !== SLASH) {
    return refuseUsage(PROGRAM, USAGE);
  }
  process.umask(0o077);
  const isDescribing = options[options.length - 1]?.letter === 'n';
  try {
    await new LocalDelivery(call, words, platform).run(isDescribing);
    return 0;
  } catch (error) {
    if (!(error instanceof DeliveryFailure)) throw error;
    if (error.text.length > 0) complain(concatBytes([error.text, LF]));
    return error.exit;
  }
}

/** One message for one recipient. */
class LocalDelivery {
  readonly #call: ProgramCall;
  readonly #platform: LocalPlatform;
  readonly #recipient: LocalRecipient;
  readonly #dash: Uint8Array;
  readonly #aliasempty: Uint8Array;
  readonly #lines: DeliveryLines;
  readonly #counts = { mbox: 0, maildir: 0, program: 0 };
  readonly #forwards: Uint8Array[] = [];
  /** Maildirs that were delivered to. */
  readonly #begun = new Map<string, number>();

  constructor(call: ProgramCall, words: readonly Uint8Array[], platform: LocalPlatform) {
    this.#call = call;
    this.#platform = platform;
    const [user, home, local, dash, ext, domain, sender, aliasempty] = words.map((word) => untilNul(word));
    this.#recipient = {
      user: user!,
      home: home!,
      local: local!,
      ext: ext!,
      domain: domain!,
      sender: sender!,
    };
    this.#dash = dash!;
    this.#aliasempty = aliasempty!;
    this.#lines = formatDeliveryLines(this.#recipient, platform.nowMs());
  }

  /** @throws DeliveryFailure */
  async run(isDescribing: boolean): Promise<void> {
    const { env } = this.#call;
    enterHome(this.#recipient.home, isDescribing);
    if (!isDescribing) refuseLoop(this.#lines.deliveredTo);
    for (const [name, value] of listVariables(this.#recipient, this.#lines)) env.set(name, value);
    const instructions = this.#readInstructions();
    const newSender = this.#chooseSender();
    env.set('NEWSENDER', newSender);
    this.#followAll(instructions, isDescribing ? describe : (one) => this.#follow(one));
    let queuePid: number | undefined;
    if (this.#forwards.length > 0 && !isDescribing) {
      const envelope = { sender: newSender, recipients: this.#forwards };
      queuePid = await forwardMessage(this.#call, { envelope, deliveredTo: this.#lines.deliveredTo });
    }
    const { mbox, maildir, program } = this.#counts;
    say(`did ${mbox + maildir}+${this.#forwards.length}+${program}\n`);
    if (queuePid !== undefined) say(`qp ${queuePid}\n`);
  }

  /** The instructions that hold for the address, and whether they must not ask for files or programs. */
  #readInstructions(): { content: Uint8Array; isForwardOnly: boolean } {
    const { ext } = this.#recipient;
    const file = openDotQmail(this.#dash, ext);
    if (file === undefined && this.#dash.length > 0) {
      throw rejection('Sorry, no mailbox here by that name. (#5.1.1)');
    }
    if (file?.defaultFrom !== undefined) this.#call.env.set('DEFAULT', ext.subarray(file.defaultFrom));
    const content = file && readDotQmail(file);
    if (file === undefined || content === undefined || content.length === 0) {
      return { content: this.#aliasempty, isForwardOnly: false };
    }
    return { content, isForwardOnly: file.isForwardOnly };
  }

  #chooseSender(): Uint8Array {
    const { sender, ext } = this.#recipient;
    if (sender.length === 0 || equalBytes(sender, NO_BOUNCES)) return sender;
    const owner = findOwner(this.#dash, ext);
    return owner === 'sender' ? sender : ownerAddress(this.#recipient, owner === 'verp');
  }

  #followAll(
    instructions: { content: Uint8Array; isForwardOnly: boolean },
    follow: (instruction: DotQmailInstruction) => 'go-on' | 'stop',
  ): void {
    let { isForwardOnly } = instructions;
    const reader = new DotQmailReader(instructions.content);
    for (let line = reader.next(); line !== undefined; line = reader.next()) {
      if (line.type === 'blank') throw deferral('Uh-oh: first line of .qmail file is blank. (#4.2.1)');
      if (line.type === 'forward-only') {
        isForwardOnly = true;
        continue;
      }
      if (isForwardOnly && line.type !== 'forward') {
        const kind = line.type === 'program' ? 'prog' : 'file';
        throw deferral(`Uh-oh: .qmail has ${kind} delivery but has x bit set. (#4.7.0)`);
      }
      if (line.type === 'forward') this.#forwards.push(untilNul(line.text));
      else this.#counts[line.type]++;
      if (follow(line) === 'stop') return;
    }
  }

  #follow({ type, text }: DotQmailInstruction): 'go-on' | 'stop' {
    const [lines, platform, env] = [this.#lines, this.#platform, this.#call.env];
    if (type === 'program') return deliverToProgram(text, env);
    if (type === 'mbox') deliverToMbox({ file: text, lines, env, platform });
    if (type === 'maildir') {
      deliverToMaildir({ folder: text, lines, begun: this.#begun, platform });
    }
    return 'go-on';
  }
}

/** Says what an instruction asks for instead of following it. */
function describe({ type, text }: DotQmailInstruction): 'go-on' {
  say(`${type} `, text, '\n');
  return 'go-on';
}

/** @throws DeliveryFailure if the message has been here before */
function refuseLoop(deliveredTo: Uint8Array): void {
  const finder = new HeaderLineFinder(deliveredTo);
  try {
    for (const piece of readMessage()) {
      const found = finder.receive(piece);
      if (found === 'absent') return;
      if (found === 'found') {
        throw rejection('This message is looping: it already has my Delivered-To line. (#5.4.6)');
      }
    }
  } catch (error) {
    throw error instanceof SystemError ? unreadableMessage(error) : error;
  }
}

/** Writes to standard output. What is done is done, whether or not anybody listens. */
function say(...parts: (string | Uint8Array)[]): void {
  try {
    writeBlocking(1, concatBytes(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part))));
  } catch {}
}
