// The configuration file of msmtp: commands with an argument, which set defaults or belong to an account; an account may
// take over the settings of earlier ones. Source: the msmtp manual (Configuration files), and what the program does.

import {
  type ConfigProblem,
  type ConfigSetting,
  findMark,
  splitConfigLines,
  trimText,
} from './config-lines.ts';

const ACCOUNTS_MAX = 1000;

/** An account with all that holds for it, defaults and settings taken over included. */
export interface MsmtpAccount {
  readonly name: string;
  readonly line: number;
  readonly settings: readonly ConfigSetting[];
}

/** What was found in a file. */
export interface MsmtpConfig {
  readonly accounts: readonly MsmtpAccount[];
  readonly problems: readonly ConfigProblem[];
}

/** Name to setting. */
interface Settings {
  [name: string]: ConfigSetting;
}

/**
 * Reads the file.
 * @param known names of all commands but `account` and `defaults`; others are problems
 */
export function parseMsmtpConfig(content: Uint8Array, known: readonly string[]): MsmtpConfig {
  const { lines, problems } = splitConfigLines(content);
  const reader = new Reader(known, problems);
  for (const { line, text } of lines) {
    const blank = findMark(text, ' \t');
    const argument = unquoted(trimText(text.substring(blank)));
    reader.take({ line, name: text.substring(0, blank), value: argument });
  }
  return { accounts: reader.accounts(), problems };
}

class Reader {
  readonly #known: Settings = Object.create(null);
  readonly #problems: ConfigProblem[];
  readonly #defaults: Settings = Object.create(null);
  readonly #byName: { [name: string]: Settings } = Object.create(null);
  readonly #order: { name: string; line: number; settings: Settings }[] = [];
  /** Where settings go: nowhere before the first section, or in one that cannot be understood. */
  #current: Settings | undefined;
  #isSectionBad = false;

  constructor(known: readonly string[], problems: ConfigProblem[]) {
    for (const name of known) this.#known[name] = { line: 0, name, value: '' };
    this.#problems = problems;
  }

  take(command: ConfigSetting): void {
    if (command.name === 'defaults') this.#begin(this.#defaults);
    else if (command.name === 'account') this.#account(command);
    else if (this.#known[command.name] === undefined) {
      this.#refuse(command, 'unknown command: correct or remove it');
    } else if (this.#current !== undefined) this.#current[command.name] = command;
    else if (!this.#isSectionBad)
      this.#refuse(command, 'stands before the first account or defaults: move it');
  }

  accounts(): MsmtpAccount[] {
    return this.#order.map(({ name, line, settings }) => ({
      name,
      line,
      settings: Object.keys(settings).map((key) => settings[key]!),
    }));
  }

  #begin(settings: Settings | undefined): void {
    this.#current = settings;
    this.#isSectionBad = settings === undefined;
  }

  #account(command: ConfigSetting): void {
    const colon = findMark(command.value, ':');
    const name = trimText(command.value.substring(0, colon));
    const settings: Settings = copyInto(Object.create(null), this.#defaults);
    let problem = name === '' ? 'account without a name: give it one' : undefined;
    if (name !== '' && this.#byName[name] !== undefined)
      problem = `account ${name} is there twice: rename one`;
    if (this.#order.length === ACCOUNTS_MAX) problem = `more than ${ACCOUNTS_MAX} accounts: split the file`;
    let rest = command.value.substring(colon);
    while (rest !== '' && problem === undefined) {
      const after = rest.substring(1);
      const comma = findMark(after, ',');
      const base = this.#byName[trimText(after.substring(0, comma))];
      if (base === undefined) problem = `account ${name} takes over from one that is not defined before it`;
      else copyInto(settings, base);
      rest = after.substring(comma);
    }
    if (problem !== undefined) {
      this.#refuse(command, problem);
      this.#begin(undefined);
      return;
    }
    this.#byName[name] = settings;
    this.#order.push({ name, line: command.line, settings });
    this.#begin(settings);
  }

  #refuse({ line }: ConfigSetting, text: string): void {
    this.#problems.push({ line, text });
  }
}

function copyInto(target: Settings, source: Settings): Settings {
  for (const name of Object.keys(source)) target[name] = source[name]!;
  return target;
}

function unquoted(argument: string): string {
  const last = argument.length - 1;
  if (last < 1 || argument.charAt(0) !== '"' || argument.charAt(last) !== '"') return argument;
  return argument.substring(1, last);
}
