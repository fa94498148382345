// The words for why: which option, field, variable or line of a control file gave a part of an address.

import { COMPLETED } from '../core/message/inject-observer.ts';
import { USER_VARIABLES } from '../core/message/inject-settings.ts';
import type { Environment } from '../host/raw-arguments.ts';
import type { ExplainedInjection } from './explain-injection.ts';

/** Finds the words for one explained call. */
export class Reasons {
  readonly #injection: ExplainedInjection;
  readonly #env: Environment;

  /** @param env the variables as the program left them */
  constructor(injection: ExplainedInjection, env: Environment) {
    this.#injection = injection;
    this.#env = env;
  }

  /** Why the envelope sender is what it is. */
  sender(): string[] {
    const { sender } = this.#injection;
    if (sender === undefined) return [];
    const added = this.completed(sender.completed);
    if (sender.origin === 'option -f') return ['option -f', ...added];
    if (sender.origin === 'Return-Path')
      return ['field Return-Path of the message', ...added, ...this.#letters('r')];
    const user =
      this.#firstSet(['QMAILSUSER', ...USER_VARIABLES.user]) ??
      'the word anonymous: no variable names a user';
    const host = this.#firstSet(['QMAILSHOST', ...USER_VARIABLES.host]);
    const hosts = host === undefined ? [] : [`host part from ${host}`];
    return [`user part from ${user}`, ...hosts, ...added, ...this.#letters('m', 'r')];
  }

  /** Why a recipient is one. @param origin `argument` or a field's name */
  recipient(origin: string, completed: number): string[] {
    return [origin === 'argument' ? origin : `field ${fieldTitle(origin)}`, ...this.completed(completed)];
  }

  /** Why a field of the message was not just passed on; empty if it was. */
  field(name: string, fate: string): string {
    if (fate !== 'removed') return fate === 'used and removed' ? 'read for addresses, never passed on' : '';
    const letter = { from: 'f', 'message-id': 'i', 'return-path': 's' }[name];
    return letter === undefined ? 'never passed on' : `letter ${letter} of ${this.#variable('QMAILINJECT')}`;
  }

  /** Why a field was added. */
  generated(name: string, completed: number): string[] {
    switch (name) {
      case 'Date':
        return ['the message has none', 'time of this host'];
      case 'Message-ID':
        return ['the message has none', this.#control('idhost', 'host part')];
      case 'Cc':
        return ['the message names no recipient that may be shown'];
      case 'Mail-Followup-To':
        return [`a list in the file of ${this.#variable('QMAILMFTFILE')} is among the recipients`];
      default:
        return ['the message has none', ...this.#from(), ...this.completed(completed)];
    }
  }

  /** What was added to an address, or removed. */
  completed(sum: number): string[] {
    const reasons: string[] = [];
    if ((sum & COMPLETED.route) !== 0) reasons.push('source route removed');
    if ((sum & COMPLETED.host) !== 0) reasons.push(this.#control('defaulthost', 'host part'));
    if ((sum & COMPLETED.plus) !== 0) reasons.push(this.#control('plusdomain', 'domain after +'));
    if ((sum & COMPLETED.domain) !== 0) reasons.push(this.#control('defaultdomain', 'domain'));
    return reasons;
  }

  #from(): string[] {
    const user = this.#firstSet(USER_VARIABLES.user) ?? 'the word anonymous: no variable names a user';
    const host = this.#firstSet(USER_VARIABLES.host);
    const name = this.#firstSet(USER_VARIABLES.name);
    return [
      `user part from ${user}`,
      ...(host === undefined ? [] : [`host part from ${host}`]),
      ...(name === undefined ? [] : [`name from ${name}`]),
    ];
  }

  #letters(...letters: string[]): string[] {
    const set = this.#env.get('QMAILINJECT') ?? new Uint8Array(0);
    const meaning: { [letter: string]: string } = {
      m: 'one sender per message',
      r: 'one sender per recipient',
    };
    return letters
      .filter((letter) => set.includes(letter.charCodeAt(0)))
      .map((letter) => `letter ${letter} of ${this.#variable('QMAILINJECT')}: ${meaning[letter]}`);
  }

  #firstSet(names: readonly string[]): string | undefined {
    const name = names.find((candidate) => this.#env.get(candidate) !== undefined);
    return name && this.#variable(name);
  }

  #variable(name: string): string {
    if (!this.#injection.changedVariables.includes(name)) return name;
    return `${name}, set by option ${name === 'MAILNAME' ? '-F' : '-f'} of sendmail`;
  }

  #control(name: string, what: string): string {
    const { origin = 'built in' } = this.#injection.controls.find((control) => control.name === name) ?? {};
    if (origin === 'built in') {
      return `${what} is the word ${name}: there is neither control/${name} nor control/me`;
    }
    if (origin === 'me') return `${what} from control/me:1, there is no control/${name}`;
    return `${what} from ${origin === name ? `control/${name}:1` : this.#variable(origin)}`;
  }
}

/** `resent-to` as it is written: `Resent-To`. */
export function fieldTitle(name: string): string {
  const title = name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase());
  return title.replace(/-Id$/, '-ID');
}
