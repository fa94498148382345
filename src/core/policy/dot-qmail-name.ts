// Which file of a home directory controls an address: the one for the whole extension, or one for a beginning of it and
// "default". Names are made one by one, since a hostile extension has as many candidates as dashes.
// Source: the dot-qmail manual page.

import { bytesOf, concatBytes, lowerByte } from '../bytes/bytes.ts';

/** A name to try. */
export interface DotQmailName {
  /** Relative to the home directory. */
  readonly name: Uint8Array;
  /** Where in the extension begins what "default" stands for; undefined if the name has no such part. */
  readonly defaultFrom: number | undefined;
}

const DASH = 45;
const DOT = 46;
const COLON = 58;
const PREFIX = bytesOf('.qmail');
const DEFAULT = bytesOf('default');
/** Longer names exist nowhere. */
const NAME_BYTES_MAX = 4096;

/** The extension as it stands in names of files: in lower case, colons for dots, so that no name leads upwards. */
export function safeExtension(ext: Uint8Array): Uint8Array {
  const safe = new Uint8Array(ext.length);
  for (let i = 0; i < ext.length; i++) safe[i] = ext[i] === DOT ? COLON : lowerByte(ext[i]!);
  return safe;
}

/** `.qmail`, dash, safe extension, and something behind it. */
export function dotQmailFile(dash: Uint8Array, safeExt: Uint8Array, suffix: string): Uint8Array {
  return concatBytes([PREFIX, dash, safeExt, bytesOf(suffix)]);
}

/** The names for one address, the first one that exists counts. */
export class DotQmailNames {
  readonly #dash: Uint8Array;
  readonly #safeExt: Uint8Array;
  /** Length of the beginning of the extension to try next; undefined before the first name. */
  #at: number | undefined;

  constructor(dash: Uint8Array, ext: Uint8Array) {
    this.#dash = dash;
    this.#safeExt = safeExtension(ext);
  }

  /** The next name, or undefined if there are no more. */
  next(): DotQmailName | undefined {
    const safeExt = this.#safeExt;
    if (this.#at === undefined) {
      this.#at = safeExt.length;
      const defaultFrom = safeExt.length - DEFAULT.length;
      return {
        name: dotQmailFile(this.#dash, safeExt, ''),
        defaultFrom: endsWithDefault(safeExt) ? defaultFrom : undefined,
      };
    }
    for (; this.#at >= 0; this.#at--) {
      const at = this.#at;
      if (at > 0 && safeExt[at - 1] !== DASH) continue;
      if (at > NAME_BYTES_MAX) continue;
      this.#at--;
      return { name: dotQmailFile(this.#dash, safeExt.subarray(0, at), 'default'), defaultFrom: at };
    }
    return undefined;
  }
}

function endsWithDefault(bytes: Uint8Array): boolean {
  const from = bytes.length - DEFAULT.length;
  for (let i = 0; i < DEFAULT.length; i++) if (bytes[from + i] !== DEFAULT[i]) return false;
  return true;
}
