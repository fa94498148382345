// Tells whether the header of a message that comes in piece by piece has a Message-ID, and which. Keeps nothing else of the
// message, and looks at no byte behind it. A line ends at LF, with or without CR; the header ends at the first empty line.
// Source: RFC 5322 section 3.6.4 and, for space before the colon, section 4.5.

import { findByte, lowerByte } from '../bytes/bytes.ts';

/** `unknown` until the field is complete enough, or the header has ended. */
export type MessageIdAnswer = 'unknown' | 'present' | 'absent';

type State = 'line-start' | 'cr' | 'name' | 'before-colon' | 'value' | 'rest';

const NAME = 'message-id';
/** Longer ones are cut off. */
const VALUE_LENGTH_MAX = 250;
/** Digits of the largest process number, 4194304. */
const PROCESS_NUMBER_LENGTH = 7;
const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const DIGIT_0 = 48;
const DIGIT_9 = 57;
const COLON = 58;
const LESS_THAN = 60;
const AT_SIGN = 64;

/** See the head of this file. A field without a value, as a form that nobody filled in, is no Message-ID. */
export class MessageIdProbe {
  #answer: MessageIdAnswer = 'unknown';
  #state: State = 'line-start';
  /** Characters of the name that have matched. */
  #matched = 0;
  /** The last line was a Message-ID field, empty so far: this one may continue it. */
  #mayContinue = false;
  readonly #value: number[] = [];
  #isValueOpen = true;

  /** The first word of the field, at most 250 bytes of it; empty if there is none. */
  get value(): Uint8Array {
    return new Uint8Array(this.#value);
  }

  get answer(): MessageIdAnswer {
    return this.#answer;
  }

  /** Whether more bytes could change anything that is told here. */
  get isDone(): boolean {
    return this.#answer === 'absent' || (this.#answer === 'present' && !this.#isValueOpen);
  }

  /**
   * Whether there is a Message-ID that tells one message from all others, so that the same message with it is the same one. A
   * process number and a host is none: that of the next process, or the next message of it, may be the same.
   */
  get isUnique(): boolean {
    return this.#answer === 'present' && !isProcessNumber(this.#value);
  }

  /** Takes the next bytes of the message. */
  receive(bytes: Uint8Array): void {
    let at = 0;
    for (; at < bytes.length && this.#answer === 'unknown'; at++) {
      if (this.#state === 'rest') at = findByte(bytes, LF, at);
      if (at < 0) return;
      this.#take(bytes[at]!);
    }
    if (this.#answer !== 'present' || !this.#isValueOpen) return;
    // The byte that gave the answer is the first of the value.
    if (this.#value.length === 0) at--;
    for (; at < bytes.length && this.#isValueOpen; at++) this.#keep(bytes[at]!);
  }

  /** Takes the end of the message. */
  receiveEnd(): void {
    if (this.#answer === 'unknown') this.#answer = 'absent';
  }

  #take(byte: number): void {
    if (byte === LF) {
      this.#endLine();
      return;
    }
    switch (this.#state) {
      case 'line-start':
        this.#state = this.#begin(byte);
        break;
      case 'name':
        if (lowerByte(byte) !== NAME.charCodeAt(this.#matched)) this.#state = 'rest';
        else if (++this.#matched === NAME.length) this.#state = 'before-colon';
        break;
      case 'before-colon':
        if (byte === COLON) this.#state = 'value';
        else if (!isSpace(byte)) this.#state = 'rest';
        break;
      case 'value':
        if (!isSpace(byte) && byte !== CR) this.#answer = 'present';
        break;
      case 'cr':
        this.#state = 'rest';
        break;
      case 'rest':
        break;
    }
  }

  #keep(byte: number): void {
    if (byte <= SPACE || this.#value.length === VALUE_LENGTH_MAX) this.#isValueOpen = false;
    else this.#value.push(byte);
  }

  #begin(byte: number): State {
    const mayContinue = this.#mayContinue;
    this.#mayContinue = false;
    if (mayContinue && isSpace(byte)) return 'value';
    if (byte === CR) return 'cr';
    this.#matched = 1;
    return lowerByte(byte) === NAME.charCodeAt(0) ? 'name' : 'rest';
  }

  #endLine(): void {
    if (this.#state === 'line-start' || this.#state === 'cr') this.#answer = 'absent';
    this.#mayContinue = this.#state === 'value';
    this.#state = 'line-start';
  }
}

function isSpace(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}

/** Whether a Message-ID has nothing but a process number before its at sign, as those of Postfix's qmqp-source. */
function isProcessNumber(id: readonly number[]): boolean {
  const from = id[0] === LESS_THAN ? 1 : 0;
  let end = from;
  while (id[end]! >= DIGIT_0 && id[end]! <= DIGIT_9) end++;
  return end > from && end - from <= PROCESS_NUMBER_LENGTH && id[end] === AT_SIGN;
}
