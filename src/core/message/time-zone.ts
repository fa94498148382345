// Time zones in the form that POSIX gives the variable TZ: `EST5`, `<+0530>-5:30`, `CET-1CEST,M3.5.0,M10.5.0/3`. They say
// themselves how far local time is from GMT, so no data base is needed. Names of places (`Europe/Berlin`) are not for this
// file. Source: POSIX.1-2017, Base Definitions, section 8.3; tzset(3).

const HOUR = 3600;
const DAY = 86400;
/** Changes of the clock where a zone has summer time and does not say when: those of the United States. */
const USUAL_RULES = ',M3.2.0,M11.1.0';
const DAYS_BEFORE_MONTH = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];

/** A day of the year and a time on it, local. */
interface Change {
  /** `J` day 1 to 365 without leap days, `0` day 0 to 365 with them, `M` a day of the week. */
  readonly kind: string;
  readonly month: number;
  /** Week 1 to 5, 5 being the last; kind M only. */
  readonly week: number;
  /** Day of the year, or of the week, Sunday being 0. */
  readonly day: number;
  /** Seconds after midnight. */
  readonly time: number;
}

/** Takes a text apart from left to right. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#text.length;
  }

  isAt(character: string): boolean {
    return this.#text.charAt(this.#at) === character;
  }

  /** Takes that character if it comes next. */
  take(character: string): boolean {
    if (!this.isAt(character)) return false;
    this.#at++;
    return true;
  }

  /** Takes a zone's name: three letters or more, or anything within angle brackets. */
  name(): boolean {
    if (this.take('<')) {
      while (!this.isAtEnd) if (this.#text.charAt(this.#at++) === '>') return true;
      return false;
    }
    const from = this.#at;
    while (isLetter(this.#text.charAt(this.#at))) this.#at++;
    return this.#at - from >= 3;
  }

  /** Takes a number without sign, up to `max`; undefined if there is none. */
  number(max: number): number | undefined {
    const from = this.#at;
    let value = 0;
    while (isDigit(this.#text.charAt(this.#at)) && value <= max) {
      value = value * 10 + (this.#text.charCodeAt(this.#at++) - 48);
    }
    return this.#at > from && value <= max ? value : undefined;
  }

  /** Takes `[+-]hours[:minutes[:seconds]]`; seconds, or undefined if there is none. */
  time(): number | undefined {
    const sign = this.take('-') ? -1 : 1;
    if (sign > 0) this.take('+');
    const hours = this.number(167);
    if (hours === undefined) return undefined;
    const minutes = this.take(':') ? this.number(59) : 0;
    if (minutes === undefined) return undefined;
    const seconds = this.take(':') ? this.number(59) : 0;
    return seconds === undefined ? undefined : sign * (hours * HOUR + minutes * 60 + seconds);
  }

  /** Takes `,Jn`, `,n` or `,Mm.w.d`, with `/time` or without. */
  change(): Change | undefined {
    if (!this.take(',')) return undefined;
    const kind = this.take('J') ? 'J' : this.take('M') ? 'M' : '0';
    const first = this.number(kind === 'M' ? 12 : 365);
    const week = kind === 'M' && this.take('.') ? this.number(5) : 0;
    const last = kind === 'M' && this.take('.') ? this.number(6) : 0;
    if (first === undefined || week === undefined || last === undefined) return undefined;
    if (kind === 'M' && (first === 0 || week === 0)) return undefined;
    const time = this.take('/') ? this.time() : 2 * HOUR;
    if (time === undefined) return undefined;
    return { kind, month: first, week, day: kind === 'M' ? last : first, time };
  }
}

/**
 * Local time minus GMT in seconds at a moment, where the zone is a POSIX one; undefined if it is not.
 * @param zone the value of TZ
 * @param secondsSince1970 the moment, GMT
 */
export function posixZoneOffset(zone: string, secondsSince1970: number): number | undefined {
  const reader = new Reader(zone);
  if (!reader.name()) return undefined;
  const west = reader.time();
  if (west === undefined) return undefined;
  if (reader.isAtEnd) return 0 - west;
  if (!reader.name()) return undefined;
  const summerWest = reader.isAtEnd || reader.isAt(',') ? west - HOUR : reader.time();
  if (summerWest === undefined) return undefined;
  const rules = reader.isAtEnd ? new Reader(USUAL_RULES) : reader;
  const start = rules.change();
  const end = start && rules.change();
  if (start === undefined || end === undefined || !rules.isAtEnd) return undefined;
  return isBetween(secondsSince1970, start, west, end, summerWest) ? 0 - summerWest : 0 - west;
}

/** Whether the moment is in summer time; where the year begins in it, that is so outside end and start. */
function isBetween(seconds: number, start: Change, west: number, end: Change, summerWest: number): boolean {
  const year = yearOf(seconds - west);
  const from = momentOf(start, year) + west;
  const to = momentOf(end, year) + summerWest;
  return from < to ? seconds >= from && seconds < to : seconds >= from || seconds < to;
}

/** When a change happens in a year: seconds since 1970, as a clock would show that has the offset before it. */
function momentOf(change: Change, year: number): number {
  const leap = isLeap(year) ? 1 : 0;
  const firstDay = daysBeforeYear(year);
  if (change.kind === '0') return (firstDay + change.day) * DAY + change.time;
  if (change.kind === 'J') {
    const afterFebruary = change.day >= 60 ? leap : 0;
    return (firstDay + change.day - 1 + afterFebruary) * DAY + change.time;
  }
  const monthStart = firstDay + DAYS_BEFORE_MONTH[change.month - 1]! + (change.month > 2 ? leap : 0);
  const monthEnd = firstDay + DAYS_BEFORE_MONTH[change.month]! + (change.month > 1 ? leap : 0);
  // 1 January 1970 was a Thursday.
  const weekday = (((monthStart + 4) % 7) + 7) % 7;
  let day = monthStart + ((change.day - weekday + 7) % 7) + (change.week - 1) * 7;
  if (day >= monthEnd) day -= 7;
  return day * DAY + change.time;
}

function yearOf(seconds: number): number {
  const days = Math.floor(seconds / DAY);
  let year = 1970 + Math.floor(days / 365.2425);
  if (daysBeforeYear(year) > days) year--;
  else if (daysBeforeYear(year + 1) <= days) year++;
  return year;
}

/** Days from 1 January 1970 to 1 January of the year. */
function daysBeforeYear(year: number): number {
  const y = year - 1;
  return (year - 1970) * 365 + Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400) - 477;
}

function isLeap(year: number): boolean {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
}

function isDigit(character: string): boolean {
  return character >= '0' && character <= '9';
}

function isLetter(character: string): boolean {
  return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z');
}
