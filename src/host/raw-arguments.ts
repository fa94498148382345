// Arguments and environment as the bytes they are. Node decodes both as UTF-8 and puts U+FFFD in place of whatever is
// not; where one occurs the original bytes are read from Linux's /proc. Elsewhere such bytes are lost.

import { readFileSync } from 'node:fs';

const REPLACEMENT = '\uFFFD';
const EQUALS = 61;

/** The program's last `args.length` arguments as bytes; `args` are the same as Node has them. */
export function argumentBytes(args: readonly string[]): Uint8Array[] {
  if (args.some((argument) => argument.includes(REPLACEMENT))) {
    const words = readWords('/proc/self/cmdline');
    if (words.length >= args.length) return words.slice(words.length - args.length);
  }
  return args.map((argument) => Buffer.from(argument));
}

/** Variables as bytes, which can be changed before they are handed to another program. */
export class Environment {
  /** The variables as strings, for starting programs; what is not UTF-8 is lost there. */
  readonly strings: { [name: string]: string };
  readonly #changed = new Map<string, Uint8Array>();

  /** @param variables usually process.env, which is copied */
  constructor(variables: NodeJS.ProcessEnv) {
    this.strings = { ...variables } as { [name: string]: string };
  }

  /** The value of a variable, or undefined if it is not set. */
  get(name: string): Uint8Array | undefined {
    const text = this.strings[name];
    if (text === undefined) return undefined;
    const changed = this.#changed.get(name);
    if (changed !== undefined) return changed;
    return (text.includes(REPLACEMENT) ? readVariable(name) : undefined) ?? Buffer.from(text);
  }

  /** The variables whose values are damaged in {@link strings}, as they are. */
  damaged(): [name: string, value: Uint8Array][] {
    const names = Object.keys(this.strings).filter((name) => this.strings[name]?.includes(REPLACEMENT));
    return names.flatMap((name) => {
      const value = this.get(name);
      return value === undefined ? [] : [[name, value]];
    });
  }

  /** Sets a variable. */
  set(name: string, value: Uint8Array): void {
    this.strings[name] = Buffer.from(value).toString();
    this.#changed.set(name, value);
  }

  /** Sets a variable, or removes it if there is no value. */
  setOrRemove(name: string, value: Uint8Array | undefined): void {
    if (value === undefined) this.remove(name);
    else this.set(name, value);
  }

  /** Removes variables. */
  remove(...names: string[]): void {
    for (const name of names) delete this.strings[name];
  }
}

function readVariable(name: string): Uint8Array | undefined {
  for (const entry of readWords('/proc/self/environ')) {
    const equals = entry.indexOf(EQUALS);
    if (equals >= 0 && entry.toString('latin1', 0, equals) === name) return entry.subarray(equals + 1);
  }
  return undefined;
}

/** The NUL-terminated words of a file; none if it cannot be read. */
function readWords(path: string): Buffer[] {
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch {
    return [];
  }
  const words: Buffer[] = [];
  for (let from = 0; from < content.length; ) {
    const nul = content.indexOf(0, from);
    const end = nul < 0 ? content.length : nul;
    words.push(content.subarray(from, end));
    from = end + 1;
  }
  return words;
}
