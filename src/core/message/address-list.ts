// Finds the addresses in the tokens of an address field and has each of them rewritten. The list is read from right to
// left, which lets addresses without commas, display names and comments in odd places be told apart with no
// look-ahead; therefore addresses come up last one first. One pass, no recursion.
// Source: cr.yp.to/immhf.html; the qmail-header manual page (ADDRESS LISTS).

import { AT, ATOM, COLON, COMMA, COMMENT, DOT, LEFT, QUOTED, RIGHT, SEMICOLON, TokenList } from './tokens.ts';

/**
 * Called for each address, in reading order of its tokens, the last address of the list first; puts the rewritten
 * address into `result`, which is empty. Both lists are used again afterwards.
 */
export type RewriteOne = (address: TokenList, result: TokenList) => void;

const LIST_START = 2;
const UNPARSABLE = -1;

/** Rewrites the addresses of one field after the other; keeps its memory from one to the next. */
export class AddressListRewriter {
  /** The rewritten field, last token first; valid until the next call. */
  readonly output = new TokenList();
  #field = new TokenList();
  #rewriteOne: RewriteOne = () => {};
  /** The address that words are added to, last token first. */
  readonly #pending = new TokenList();
  readonly #address = new TokenList();
  readonly #rewritten = new TokenList();
  #isInGroup = false;
  /** Whether a word may join the pending address; not so directly left of another word. */
  #isWordOk = true;

  /**
   * Rewrites a field into {@link output}; false if its groups or angle brackets do not match.
   * @param field tokens of the whole field; the first two, its name and the colon, are copied
   */
  rewrite(field: TokenList, rewriteOne: RewriteOne): boolean {
    this.#field = field;
    this.#rewriteOne = rewriteOne;
    this.#isInGroup = false;
    this.#isWordOk = true;
    this.output.clear();
    this.#pending.clear();
    let at = field.length - 1;
    while (at >= LIST_START) {
      at = this.#step(at);
      if (at === UNPARSABLE) return false;
    }
    this.#flush();
    while (at >= 0) at = this.#copy(at);
    return true;
  }

  /** Index of the next token to look at, or UNPARSABLE. */
  #step(at: number): number {
    switch (this.#field.kind(at)) {
      case SEMICOLON:
        this.#flushWithComma();
        if (this.#isInGroup) return UNPARSABLE;
        this.#isInGroup = true;
        this.#isWordOk = true;
        return this.#copy(at);
      case COLON:
        this.#flush();
        if (!this.#isInGroup) return UNPARSABLE;
        this.#isInGroup = false;
        this.#isWordOk = true;
        return this.#copyGroupName(at);
      case RIGHT:
        this.#flushWithComma();
        return this.#angleAddress(at);
      case COMMENT:
        return this.#copy(at);
      case COMMA:
        this.#flush();
        this.#isWordOk = true;
        return this.#copy(at);
      case DOT:
      case AT:
      case LEFT:
        this.#isWordOk = true;
        this.#pending.appendFrom(this.#field, at);
        return at - 1;
      default:
        if (!this.#isWordOk) this.#flushWithComma();
        this.#isWordOk = false;
        this.#pending.appendFrom(this.#field, at);
        return at - 1;
    }
  }

  #copy(at: number): number {
    this.output.appendFrom(this.#field, at);
    return at - 1;
  }

  /** The colon and all to its left, up to and including the next comma. */
  #copyGroupName(colon: number): number {
    let at = this.#copy(colon);
    while (at >= LIST_START) {
      const isComma = this.#field.kind(at) === COMMA;
      at = this.#copy(at);
      if (isComma) break;
    }
    return at;
  }

  /** An address in angle brackets that ends at `right`, and the display name before it. */
  #angleAddress(right: number): number {
    const field = this.#field;
    let left = right - 1;
    while (left >= LIST_START && field.kind(left) !== LEFT) left--;
    if (left < LIST_START) return UNPARSABLE;
    this.#copy(right);
    this.#address.clear();
    this.#address.appendAll(field, left + 1, right);
    this.#rewrite();
    let at = this.#copy(left);
    while (at >= LIST_START && isNamePart(field.kind(at))) at = this.#copy(at);
    this.#isWordOk = false;
    return at;
  }

  #flushWithComma(): void {
    if (this.#pending.length === 0) return;
    this.#flush();
    this.output.begin(COMMA);
  }

  #flush(): void {
    if (this.#pending.length === 0) return;
    this.#address.clear();
    this.#address.appendReversed(this.#pending);
    this.#pending.clear();
    this.#rewrite();
  }

  #rewrite(): void {
    this.#rewritten.clear();
    this.#rewriteOne(this.#address, this.#rewritten);
    this.output.appendReversed(this.#rewritten);
  }
}

function isNamePart(kind: number): boolean {
  return kind === COMMENT || kind === ATOM || kind === QUOTED || kind === AT || kind === DOT;
}
