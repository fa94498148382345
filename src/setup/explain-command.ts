// mini-qmail explain: says what sendmail or qmail-inject would do with its arguments and the message on standard input, and
// why, and sends nothing. Everything after the program's name is the program's.

import { textOf } from '../core/bytes/bytes.ts';
import { complain, writeBlocking } from '../host/blocking-io.ts';
import { ownProgramAt } from '../host/invocation.ts';
import { type JsonBytes, jsonBytes } from '../host/json-bytes.ts';
import { readWords } from '../host/program-words.ts';
import { readStandardInput } from '../host/standard-input.ts';
import { reasonOf } from '../host/system-error.ts';
import { type ExplainedCall, type ExplainedInjection, explainInjection } from './explain-injection.ts';
import { fieldTitle, Reasons } from './explain-reasons.ts';
import { findRoute, type Route } from './explain-route.ts';
import { showBytes } from './show-bytes.ts';

const STDOUT = 1;
const EXIT_TEMPORARY = 111;

/** What the command is given. */
export interface ExplainCommand {
  readonly program: 'sendmail' | 'qmail-inject';
  readonly home: string;
  readonly ownBin: string;
  readonly json: boolean;
  /** How many words of this process stand before those of the program. */
  readonly wordsBefore: number;
}

/** The explanation as --json prints it. */
export interface ExplanationJson {
  readonly program: string;
  /** What the program would end with, as far as that is known without connecting to anybody. */
  readonly exit: number;
  readonly problem?: JsonBytes;
  readonly becomes?: string;
  readonly sender?: { readonly address: JsonBytes; readonly reasons: readonly string[] };
  readonly recipients: readonly { readonly address: JsonBytes; readonly reasons: readonly string[] }[];
  readonly header?: JsonBytes;
  readonly added: readonly { readonly field: string; readonly reasons: readonly string[] }[];
  readonly removed: readonly { readonly field: string; readonly reasons: readonly string[] }[];
  readonly bodyBytes: number;
  readonly route?: Route;
  readonly notes: readonly string[];
}

/** Runs the command; returns what the program itself would end with, or 111 if it would find no server. */
export async function runExplain(command: ExplainCommand): Promise<number> {
  const { args, env } = readWords();
  const call = { ...command, args: args.slice(command.wordsBefore), env, readInput: readStandardInput };
  const explanation = explain(call, await explainInjection(call));
  const text = command.json
    ? `${JSON.stringify(explanation, undefined, 2)}\n`
    : formatExplanation(explanation);
  const { problem } = explanation;
  if (problem !== undefined) {
    // In one line, whatever the program itself would print.
    const reason = showBytes(
      Buffer.from(textOf(bytesBack(problem)).trimEnd().replaceAll('\n', ' '), 'latin1'),
    );
    complain(Buffer.from(`mini-qmail explain: ${command.program} would refuse: ${reason || 'see above'}\n`));
  }
  writeBlocking(STDOUT, Buffer.from(text));
  return explanation.exit;
}

/** Puts what was seen into words. */
export function explain(
  call: Omit<ExplainedCall, 'args' | 'readInput'>,
  injection: ExplainedInjection,
): ExplanationJson {
  const { program, env, home, ownBin } = call;
  const reasons = new Reasons(injection, env);
  const { sender, failure, becomes, header } = injection;
  const isComplete = injection.envelope !== undefined;
  const route = isComplete ? findRoute({ home, ownBin, env: env.strings }, injection.isPrinted) : undefined;
  return {
    program,
    exit: route?.kind === 'none' ? EXIT_TEMPORARY : injection.exit,
    ...(failure && { problem: jsonBytes(failure) }),
    ...(becomes !== undefined && { becomes }),
    ...(isComplete &&
      sender && { sender: { address: jsonBytes(sender.address), reasons: reasons.sender() } }),
    recipients: (isComplete ? injection.recipients : []).map(({ address, origin, completed }) => ({
      address: jsonBytes(address),
      reasons: reasons.recipient(origin, completed),
    })),
    ...(header && { header: jsonBytes(header) }),
    added: injection.generated.map(({ name, completed }) => ({
      field: name,
      reasons: reasons.generated(name, completed),
    })),
    removed: injection.fields
      .map(({ name, fate }) => ({ field: fieldTitle(name), reasons: [reasons.field(name, fate)] }))
      .filter((field) => field.reasons[0] !== ''),
    bodyBytes: injection.bodyBytes,
    ...(route && { route }),
    notes: [...(injection.trouble === undefined ? [] : [troubleOf(injection.trouble)]), ...notesOf(call)],
  };
}

/** What failed, with the file and what to do about it. */
function troubleOf(error: unknown): string {
  return `${reasonOf(error)}; correct its rights, or remove what is there`;
}

function notesOf({ program, home, ownBin }: Pick<ExplainedCall, 'program' | 'home' | 'ownBin'>): string[] {
  const names = program === 'sendmail' ? ['sendmail', 'qmail-inject'] : [program];
  return names
    .filter((name) => ownProgramAt(`${home}/bin/${name}`, ownBin) !== name)
    .map((name) => `${home}/bin/${name} is not the one of this package; this is what ours would do`);
}

function formatExplanation(explanation: ExplanationJson): string {
  const lines: string[] = [];
  const say = (title: string, value: string, reasons: readonly string[] = []) => {
    lines.push(`${title.padEnd(10)} ${value}`);
    for (const reason of reasons) lines.push(`${' '.repeat(13)}${reason}`);
  };
  const { sender, header, route, becomes } = explanation;
  if (becomes !== undefined) say('program', becomes, ['sendmail becomes it and takes no message']);
  if (sender) say('sender', showJson(sender.address) || '(empty)', sender.reasons);
  for (const { address, reasons } of explanation.recipients)
    say('recipient', showJson(address) || '(empty)', reasons);
  if (sender && explanation.recipients.length === 0) say('recipients', 'none');
  for (const { field, reasons } of explanation.added) say('added', field, reasons);
  for (const { field, reasons } of explanation.removed) say('removed', field, reasons);
  if (header !== undefined) {
    lines.push('header');
    for (const line of showLines(header)) lines.push(`  | ${line}`);
    say('body', `${explanation.bodyBytes} bytes`);
  }
  if (route) say('goes to', showRoute(route), [route.reason, ...route.notes]);
  for (const note of explanation.notes) say('note', note);
  lines.push('Nothing was sent.');
  return `${lines.join('\n')}\n`;
}

function showRoute({ kind, target }: Route): string {
  if (kind === 'qmqp') return `QMQP server ${target}`;
  if (kind === 'program') return `program ${showBytes(Buffer.from(target ?? ''))}`;
  return kind === 'none' ? 'nobody: it would be refused for now' : kind;
}

function bytesBack(value: JsonBytes): Buffer {
  return typeof value === 'string' ? Buffer.from(value) : Buffer.from(value.base64, 'base64');
}

function showJson(value: JsonBytes): string {
  return showBytes(bytesBack(value));
}

function showLines(value: JsonBytes): string[] {
  const lines = textOf(bytesBack(value)).split('\n');
  return lines.slice(0, -1).map((line) => showBytes(Buffer.from(line, 'latin1')));
}
