// Collects what an import understood: one finding per setting, and the control files that come of them. Invariant: no
// secret gets in; who adds a secret setting gives its name and never its value.

import { bytesOf, equalBytes } from '../core/bytes/bytes.ts';
import type { ConfigProblem } from '../core/format/config-lines.ts';
import { parseServerEntries } from '../core/format/server-list.ts';
import { showBytes } from './show-bytes.ts';

/** What becomes of a setting. */
export type ImportResult =
  | 'control'
  | 'environment'
  | 'hub'
  | 'built in'
  | 'no counterpart'
  | 'malformed'
  | 'unreadable';

/** One setting, and what becomes of it. */
export interface Finding {
  readonly file: string;
  /** From 1; 0 for the file as a whole. */
  readonly line: number;
  readonly setting: string;
  /** As it may be shown: escaped, and `(not shown)` for a secret. */
  readonly value: string;
  readonly result: ImportResult;
  /** The line of a control file or the variable that it becomes; empty if none. */
  readonly becomes: string;
  /** What else is to be known or done. */
  readonly note: string;
}

/** Where a setting stands, and its value with one character per byte. */
export interface Source {
  readonly file: string;
  readonly line: number;
  readonly setting: string;
  readonly value: string;
}

/** A control file to be, and where it comes from. */
export interface ImportedControl {
  readonly name: string;
  readonly content: Uint8Array;
  readonly from: string;
}

const VALUE_SHOWN_MAX = 100;
const QMQP_NOTE = 'it must run a QMQP server (port 628); else put the address of your hub there';

/** The findings and control files of an import. */
export class ImportReport {
  readonly findings: Finding[] = [];
  readonly #controls = new Map<string, ImportedControl>();

  /** Control files in the order they were found. */
  get controls(): ImportedControl[] {
    return [...this.#controls.values()];
  }

  /** The setting becomes a control file of one line; the first one counts. */
  control(source: Source, name: string, value = source.value, note = ''): undefined {
    if (!isWord(value)) return this.malformed(source, `must be one word without blanks: correct it`);
    this.#take(source, name, bytesOf(`${value}\n`), `control/${name}: ${shown(value)}`, note);
  }

  /** The setting is the content of a control file already. */
  controlFile(source: Source, name: string, content: Uint8Array): undefined {
    this.#take(source, name, content, `control/${name}`, '');
  }

  /**
   * The setting is a server for mail. SMTP is the hub's affair; a server of the client must speak QMQP.
   * @param port empty for the usual one
   */
  smarthost(source: Source, host: string, port: string): undefined {
    if (!isWord(host) || (port !== '' && !isPort(port))) {
      return this.malformed(source, 'is no host and port: write HOST, and a port from 1 to 65535');
    }
    const name = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
    this.hub(source, `control/smtproutes: :${shown(name)}${port === '' || port === '25' ? '' : `:${port}`}`);
    const entry = entryFor(host);
    if (entry !== undefined) this.server(source, entry, QMQP_NOTE);
    else {
      const what =
        'control/qmqpservers takes addresses: put that of your hub there, which must run a QMQP server';
      this.#add(source, 'no counterpart', '', `${what} (port 628)`);
    }
  }

  /** The setting is a QMQP server; all of them count, in order. */
  server(source: Source, entry: string, note: string): undefined {
    const before = this.#controls.get('qmqpservers');
    const lines =
      before === undefined ? [] : Buffer.from(before.content).toString('latin1').split('\n').slice(0, -1);
    if (!lines.includes(entry)) lines.push(entry);
    const from = before?.from ?? `${source.file}:${source.line}`;
    this.#controls.set('qmqpservers', {
      name: 'qmqpservers',
      content: bytesOf(`${lines.join('\n')}\n`),
      from,
    });
    this.#add(source, 'control', `control/qmqpservers: ${shown(entry)}`, note);
  }

  /** The address becomes the variables that name the sender; `kind` S for the envelope only. */
  sender(source: Source, address: string, kind: '' | 'S', note: string): undefined {
    const at = address.lastIndexOf('@');
    const [user, host] = at < 0 ? [address, ''] : [address.slice(0, at), address.slice(at + 1)];
    if (!isWord(`${user}${host}`)) return this.malformed(source, 'is no address: write USER@HOST');
    const variables = [
      ...(user === '' ? [] : [`QMAIL${kind}USER=${shown(user)}`]),
      ...(host === '' ? [] : [`QMAIL${kind}HOST=${shown(host)}`]),
    ];
    this.#add(source, 'environment', variables.join(' '), note);
  }

  /** The setting becomes an environment variable. */
  environment(source: Source, variable: string, note: string): undefined {
    this.#add(source, 'environment', variable, note);
  }

  /** The setting belongs to the hub. */
  hub(source: Source, becomes: string, note = 'on the hub'): undefined {
    this.#add(source, 'hub', becomes, note);
  }

  /** The client does that without being told. */
  builtIn(source: Source, note: string): undefined {
    this.#add(source, 'built in', '', note);
  }

  /** Nothing here does that. */
  none(source: Source, note: string): undefined {
    this.#add(source, 'no counterpart', '', note);
  }

  /** A name, password or key: the value goes nowhere. */
  secret(source: Source): undefined {
    this.none(
      { ...source, value: '(not shown)' },
      'a null client has no secret: logging in is the affair of the hub',
    );
  }

  /** A setting that the other client does not know either; it may be a misspelt password. */
  unknown(source: Source, client: string): undefined {
    this.malformed({ ...source, value: '(not shown)' }, `unknown to ${client}: correct or remove it`);
  }

  /** The setting cannot be understood. */
  malformed(source: Source, text: string): undefined {
    this.#add(source, 'malformed', '', text);
  }

  /** Lines that cannot be understood; what they say may be a secret and is not shown. */
  problems(file: string, problems: readonly ConfigProblem[]): undefined {
    for (const { line, text } of problems) this.malformed({ file, line, setting: 'line', value: '' }, text);
  }

  /** A file that cannot be read. */
  unreadable(file: string, reason: string): undefined {
    this.#add(
      { file, line: 0, setting: 'file', value: '' },
      'unreadable',
      '',
      `${reason}: name a file that you may read`,
    );
  }

  #take(source: Source, name: string, content: Uint8Array, becomes: string, note: string): undefined {
    const before = this.#controls.get(name);
    if (before !== undefined && !equalBytes(before.content, content)) {
      this.#add(
        source,
        'no counterpart',
        '',
        `control/${name} comes from ${before.from} already: remove one`,
      );
      return;
    }
    if (before === undefined)
      this.#controls.set(name, { name, content, from: `${source.file}:${source.line}` });
    this.#add(source, 'control', becomes, note);
  }

  #add(source: Source, result: ImportResult, becomes: string, note: string): undefined {
    const { file, line, setting } = source;
    this.findings.push({ file, line, setting, value: shown(source.value), result, becomes, note });
  }
}

/** Text with one character per byte as it may be shown, cut when it is long. */
function shown(text: string): string {
  const whole = showBytes(Buffer.from(text, 'latin1'));
  return whole.length > VALUE_SHOWN_MAX ? `${whole.slice(0, VALUE_SHOWN_MAX)}…` : whole;
}

/** Whether the value can be the whole line of a control file: printable, without blanks, no comment. */
function isWord(value: string): boolean {
  return value !== '' && value.length <= 255 && !/[\0-\x20\x7f]/.test(value) && !value.startsWith('#');
}

function isPort(port: string): boolean {
  return /^[0-9]{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535;
}

/** How control/qmqpservers names that host, or undefined if it cannot. */
function entryFor(host: string): string | undefined {
  const bare = host.replace(/^\[|\]$/g, '');
  const entry = bare.includes(':') ? `qmqp://[${bare}]` : bare;
  return parseServerEntries([bytesOf(entry)]).length > 0 ? entry : undefined;
}
