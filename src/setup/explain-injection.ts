// Runs sendmail or qmail-inject with somebody who looks on in place of the queue program, and keeps what was decided and
// why. The decisions are those of the programs themselves: nothing is decided here, and nothing is sent.

import { type InjectCall, type InjectOnlooker, injectMessage, type Sink } from '../client/inject.ts';
import type { ControlOrigin } from '../client/inject-controls.ts';
import { planSendmail } from '../client/sendmail.ts';
import type { FieldFate, GeneratedField, SenderOrigin } from '../core/message/inject-observer.ts';
import type { Environment } from '../host/raw-arguments.ts';

const NO_HOME = Buffer.from('sendmail: fatal: unable to switch to qmail home directory\n');

/** An address and why it is there. */
export interface ExplainedAddress {
  readonly address: Uint8Array;
  /** Who gave it: for a recipient `argument` or the field's name. */
  readonly origin: string;
  /** Sum of COMPLETED. */
  readonly completed: number;
}

/** What a program would do with its arguments and message. */
export interface ExplainedInjection {
  /** The exit code so far: 0, or that of the failure. */
  readonly exit: number;
  /** Why the message is not taken, as the program prints it; empty if it has printed it already. */
  readonly failure: Uint8Array | undefined;
  /** The error behind a failure that the program tells in two words. */
  readonly trouble: unknown;
  /** Another program that would run instead and is not explained here. */
  readonly becomes: string | undefined;
  readonly sender: (ExplainedAddress & { readonly origin: SenderOrigin }) | undefined;
  readonly recipients: readonly ExplainedAddress[];
  readonly fields: readonly { readonly name: string; readonly fate: FieldFate }[];
  readonly generated: readonly { readonly name: GeneratedField; readonly completed: number }[];
  readonly controls: readonly ControlOrigin[];
  /** The header that the queue program would get; undefined if there is none. */
  readonly header: Uint8Array | undefined;
  readonly bodyBytes: number;
  /** The envelope that the queue program would get. */
  readonly envelope: Uint8Array | undefined;
  /** Whether -n asks for standard output. */
  readonly isPrinted: boolean;
  /** Variables that options of sendmail have set or removed. */
  readonly changedVariables: readonly string[];
}

/** What to explain: a call of that program; its environment is changed as the program changes it. */
export interface ExplainedCall extends Omit<InjectCall, 'calledAs' | 'onlooker'> {
  readonly program: 'sendmail' | 'qmail-inject';
  /** Reads the message: returns how many bytes, 0 at its end. */
  readonly readInput: (buffer: Uint8Array) => number;
}

/** Explains a call; changes the working folder to the home, as the program does. */
export async function explainInjection(call: ExplainedCall): Promise<ExplainedInjection> {
  const onlooker = new Onlooker(call.readInput);
  const before = { ...call.env.strings };
  let { args } = call;
  if (call.program === 'sendmail') {
    // First, as sendmail does: the file of QMAILMFTFILE is relative to it.
    try {
      process.chdir(call.home);
    } catch {
      return onlooker.explanation(111, { failure: NO_HOME });
    }
    const plan = planSendmail({ args, env: call.env, calledAs: 'sendmail' });
    if ('exit' in plan) return onlooker.explanation(plan.exit, { failure: Buffer.from(plan.text, 'latin1') });
    if (plan.program !== 'qmail-inject') return onlooker.explanation(0, { becomes: plan.program });
    args = plan.args;
  }
  const changedVariables = changedSince(before, call.env);
  const failure = await injectMessage({ ...call, args, calledAs: 'qmail-inject', onlooker });
  return onlooker.explanation(failure?.exit ?? 0, { failure: failure?.text, changedVariables });
}

function changedSince(before: { [name: string]: string }, env: Environment): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(env.strings)]);
  return [...names].filter((name) => before[name] !== env.strings[name]);
}

class Onlooker implements InjectOnlooker {
  readonly readInput: (buffer: Uint8Array) => number;
  readonly #controls: ControlOrigin[] = [];
  readonly #recipients: (ExplainedAddress & { readonly isResent: boolean | undefined })[] = [];
  readonly #fields: { name: string; fate: FieldFate }[] = [];
  readonly #generated: { name: GeneratedField; completed: number }[] = [];
  #sender: ExplainedInjection['sender'];
  #isResent = false;
  #header: Uint8Array | undefined;
  #bodyBytes = 0;
  #envelope: Uint8Array | undefined;
  #isPrinted = false;
  #trouble: unknown;

  constructor(readInput: (buffer: Uint8Array) => number) {
    this.readInput = readInput;
  }

  onControl(origin: ControlOrigin): void {
    this.#controls.push(origin);
  }

  onTrouble(error: unknown): void {
    this.#trouble = error;
  }

  onSender(sender: Uint8Array, origin: SenderOrigin, completed: number): void {
    this.#sender = { address: sender.slice(), origin, completed };
  }

  onRecipient(address: Uint8Array, field: string | undefined, completed: number): void {
    const isResent = field?.startsWith('resent-');
    this.#recipients.push({ address: address.slice(), origin: field ?? 'argument', completed, isResent });
  }

  onField(name: string, fate: FieldFate): void {
    this.#fields.push({ name, fate });
  }

  onHeaderEnd(isResent: boolean): void {
    this.#isResent = isResent;
  }

  onGenerated(name: GeneratedField, completed: number): void {
    this.#generated.push({ name, completed });
  }

  openSink(_sender: Uint8Array, isPrinted: boolean): Sink {
    this.#isPrinted = isPrinted;
    return {
      write: (bytes) => {
        if (this.#header === undefined) this.#header = bytes.slice();
        else this.#bodyBytes += bytes.length;
        return undefined;
      },
      finish: async (envelope) => {
        this.#envelope = envelope.slice();
        return undefined;
      },
      abort: async () => {},
    };
  }

  explanation(
    exit: number,
    rest: Partial<Pick<ExplainedInjection, 'failure' | 'becomes' | 'changedVariables'>>,
  ): ExplainedInjection {
    return {
      failure: undefined,
      becomes: undefined,
      changedVariables: [],
      ...rest,
      exit,
      sender: this.#sender,
      recipients: this.#recipients.filter(({ isResent }) => (isResent ?? this.#isResent) === this.#isResent),
      fields: this.#fields,
      generated: this.#generated,
      controls: this.#controls,
      header: this.#header,
      bodyBytes: this.#bodyBytes,
      envelope: this.#envelope,
      isPrinted: this.#isPrinted,
      trouble: this.#trouble,
    };
  }
}
