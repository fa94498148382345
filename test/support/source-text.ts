// Reads TypeScript as text, without a compiler: what is code, what is a string, what is a regular expression. Positions
// stay where they were, so that a finding can name its line. Knows as much of the syntax as this project's style needs.

/** A source taken apart. */
export interface SourceText {
  /** The text with comments and the insides of strings and regular expressions blanked; lines stay lines. */
  readonly code: string;
  readonly strings: readonly { readonly line: number; readonly value: string }[];
  readonly regexes: readonly { readonly line: number; readonly pattern: string; readonly flags: string }[];
}

const BEFORE_REGEX = '(,=:[!&|?{};+\n';
const WORDS_BEFORE_REGEX = /\b(?:return|case|typeof|in|of|await|yield)$/;

/** Takes a source apart; text inside `${}` of a template counts as code. */
export function readSource(text: string): SourceText {
  return new Reader(text).read();
}

class Reader {
  readonly #text: string;
  readonly #strings: { line: number; value: string }[] = [];
  readonly #regexes: { line: number; pattern: string; flags: string }[] = [];
  /** Depths of braces at which a template goes on. */
  readonly #templates: number[] = [];
  #code = '';
  #at = 0;
  #line = 1;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): SourceText {
    while (this.#at < this.#text.length) this.#step();
    return { code: this.#code, strings: this.#strings, regexes: this.#regexes };
  }

  #step(): void {
    const text = this.#text;
    const c = text.charAt(this.#at);
    const pair = text.slice(this.#at, this.#at + 2);
    if (pair === '//') this.#blankTo(text.indexOf('\n', this.#at), 0);
    else if (pair === '/*') this.#blankTo(text.indexOf('*/', this.#at + 2), 2);
    else if (c === "'" || c === '"') this.#readString(c);
    else if (c === '`') this.#readTemplate();
    else if (c === '/' && this.#isRegexStart()) this.#readRegex();
    else if (c === '}' && this.#templates.at(-1) === this.#depth) {
      this.#templates.pop();
      this.#readTemplate();
    } else {
      if (c === '{') this.#depth++;
      if (c === '}') this.#depth--;
      this.#keep(1);
    }
  }

  #isRegexStart(): boolean {
    const before = this.#code.replace(/[ \t]+$/, '');
    return before === '' || BEFORE_REGEX.includes(before.at(-1)!) || WORDS_BEFORE_REGEX.test(before);
  }

  #readString(quote: string): void {
    const from = this.#at;
    const line = this.#line;
    let end = from + 1;
    while (end < this.#text.length && this.#text.charAt(end) !== quote)
      end += this.#text.charAt(end) === '\\' ? 2 : 1;
    this.#keep(1);
    this.#blankTo(end, 0);
    this.#keep(1);
    this.#strings.push({ line, value: this.#text.slice(from + 1, end) });
  }

  /** From a backquote, or from the brace that ends a `${}`, to the next backquote or `${`. */
  #readTemplate(): void {
    const from = this.#at;
    const line = this.#line;
    let end = from + 1;
    while (end < this.#text.length && this.#text.charAt(end) !== '`' && !this.#text.startsWith('${', end))
      end += this.#text.charAt(end) === '\\' ? 2 : 1;
    this.#keep(1);
    this.#blankTo(end, 0);
    this.#strings.push({ line, value: this.#text.slice(from + 1, end) });
    if (this.#text.charAt(end) === '$') {
      this.#templates.push(this.#depth);
      this.#keep(2);
    } else this.#keep(1);
  }

  #readRegex(): void {
    const from = this.#at;
    const line = this.#line;
    let end = from + 1;
    let isClass = false;
    for (; end < this.#text.length && (isClass || this.#text.charAt(end) !== '/'); end++) {
      const c = this.#text.charAt(end);
      if (c === '\\') end++;
      else if (c === '[') isClass = true;
      else if (c === ']') isClass = false;
    }
    this.#keep(1);
    this.#blankTo(end, 0);
    this.#keep(1);
    const flags = /^[a-z]*/.exec(this.#text.slice(end + 1))![0];
    this.#keep(flags.length);
    this.#regexes.push({ line, pattern: this.#text.slice(from + 1, end), flags });
  }

  #keep(count: number): void {
    const kept = this.#text.slice(this.#at, this.#at + count);
    this.#line += kept.split('\n').length - 1;
    this.#code += kept;
    this.#at += kept.length;
  }

  /** Blanks up to `index` (-1: the end) and `more` characters after it. */
  #blankTo(index: number, more: number): void {
    const end = index < 0 ? this.#text.length : Math.min(index + more, this.#text.length);
    const gone = this.#text.slice(this.#at, end);
    this.#line += gone.split('\n').length - 1;
    this.#code += gone.replace(/[^\n]/g, ' ');
    this.#at = Math.max(end, this.#at);
  }
}
