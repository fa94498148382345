// Dates as mail programs write them, in GMT unless the caller gives an offset. The calendar is computed here: core has no
// Date, and the result must not depend on where it runs. Valid for every moment since 1970 that a safe integer of milliseconds can name.

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
/** 1 January 1970 was a Thursday. */
const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const DAY_SECONDS = 86400;
/** Days in 400 years of the Gregorian calendar, after which it repeats. */
const ERA_DAYS = 146097;
/** Days from 1 March of the year 0 to 1 January 1970. */
const EPOCH_DAY = 719468;

/** A moment in GMT; `month` is 1 to 12. */
interface CalendarTime {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
}

/**
 * Text of a Date field: `26 Sep 1995 04:46:53 -0000`, the day without leading zero, no day of the week, always GMT.
 * @param msSince1970 milliseconds since 1970, 0 or more; parts of a second are dropped
 */
export function formatDate(msSince1970: number): string {
  return `${formatDateAndClock(calendarTime(msSince1970))} -0000`;
}

/**
 * The same in local time: `26 Sep 1995 06:46:53 +0200`. The zone is rounded to the nearest minute, half a minute away from
 * zero, the time is not.
 * @param offsetSeconds local time minus GMT
 */
export function formatLocalDate(msSince1970: number, offsetSeconds: number): string {
  const sign = offsetSeconds < 0 ? '-' : '+';
  const minutes = Math.floor((Math.abs(offsetSeconds) + 30) / 60);
  const zone = `${sign}${twoDigits(Math.floor(minutes / 60))}${twoDigits(minutes % 60)}`;
  return `${formatDateAndClock(calendarTime(msSince1970 + offsetSeconds * 1000))} ${zone}`;
}

/** The date of a line that begins a message in an mbox file: `Tue Sep 26 04:46:53 1995`, 24 characters, in GMT. */
export function formatMboxDate(msSince1970: number): string {
  const t = calendarTime(msSince1970);
  const weekday = WEEKDAYS[(((Math.floor(msSince1970 / 86400000) + 4) % 7) + 7) % 7];
  return `${weekday} ${MONTHS[t.month - 1]} ${twoDigits(t.day)} ${clockText(t)} ${t.year}`;
}

function formatDateAndClock(t: CalendarTime): string {
  return `${t.day} ${MONTHS[t.month - 1]} ${t.year} ${clockText(t)}`;
}

function clockText(t: CalendarTime): string {
  return `${twoDigits(t.hour)}:${twoDigits(t.minute)}:${twoDigits(t.second)}`;
}

/**
 * The moment as `YYYYMMDDhhmmss` in GMT, as it stands in a Message-ID.
 * @param msSince1970 milliseconds since 1970, 0 or more; parts of a second are dropped
 */
export function formatStamp(msSince1970: number): string {
  const t = calendarTime(msSince1970);
  return `${t.year}${twoDigits(t.month)}${twoDigits(t.day)}${twoDigits(t.hour)}${twoDigits(t.minute)}${twoDigits(t.second)}`;
}

function twoDigits(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}

/** Years are counted from 1 March, so that the leap day is the last one of its year. */
function calendarTime(msSince1970: number): CalendarTime {
  const seconds = Math.floor(msSince1970 / 1000);
  const days = Math.floor(seconds / DAY_SECONDS) + EPOCH_DAY;
  const ofDay = seconds - Math.floor(seconds / DAY_SECONDS) * DAY_SECONDS;
  const era = Math.floor(days / ERA_DAYS);
  const dayOfEra = days - era * ERA_DAYS;
  const leapDays = Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36524) + Math.floor(dayOfEra / 146096);
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  // March to January have 31 30 31 30 31 twice: five months are 153 days.
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  return {
    year: era * 400 + yearOfEra + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1,
    hour: Math.floor(ofDay / 3600),
    minute: Math.floor((ofDay % 3600) / 60),
    second: ofDay % 60,
  };
}
