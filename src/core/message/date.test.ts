import assert from 'node:assert/strict';
import test from 'node:test';
import { formatDate, formatLocalDate, formatMboxDate, formatStamp } from './date.ts';

test('formatDate() writes the day without leading zero and the zone as -0000', () => {
  assert.equal(formatDate(812090813000), '26 Sep 1995 04:46:53 -0000');
  assert.equal(formatDate(0), '1 Jan 1970 00:00:00 -0000');
  assert.equal(formatDate(951782399999), '28 Feb 2000 23:59:59 -0000');
  assert.equal(formatDate(951782400000), '29 Feb 2000 00:00:00 -0000');
});

test('formatStamp() writes two digits of each part after the year', () => {
  assert.equal(formatStamp(1704067205000), '20240101000005');
});

test('formatDate() and formatStamp() agree with the host calendar over 3000 years', () => {
  const day = 86400000;
  for (let ms = 0; ms < 3000 * 365.25 * day; ms += 3.37 * day) {
    const iso = new Date(Math.floor(ms)).toISOString().replace(/^\+0*/, '');
    assert.equal(formatStamp(Math.floor(ms)), iso.substring(0, 19).replace(/[-T:]/g, ''));
    const utc = new Date(Math.floor(ms))
      .toUTCString()
      .replace(/^\w+, 0?/, '')
      .replace('GMT', '-0000');
    assert.equal(formatDate(Math.floor(ms)), utc);
  }
});

test('formatLocalDate() moves the clock and rounds the zone away from zero', () => {
  assert.equal(formatLocalDate(812090813000, 7200), '26 Sep 1995 06:46:53 +0200');
  assert.equal(formatLocalDate(0, 0), '1 Jan 1970 00:00:00 +0000');
  assert.equal(formatLocalDate(86400000, -40), '1 Jan 1970 23:59:20 -0001');
  assert.equal(formatLocalDate(86400000, -30), '1 Jan 1970 23:59:30 -0001');
  assert.equal(formatLocalDate(86400000, -29), '1 Jan 1970 23:59:31 -0000');
  assert.equal(formatLocalDate(0, 19800), '1 Jan 1970 05:30:00 +0530');
});

test('formatMboxDate() has the day of the week and always 24 characters', () => {
  assert.equal(formatMboxDate(31536000000), 'Fri Jan 01 00:00:00 1971');
  assert.equal(formatMboxDate(812090813000), 'Tue Sep 26 04:46:53 1995');
  assert.equal(formatMboxDate(-1000), 'Wed Dec 31 23:59:59 1969');
});
