import assert from 'node:assert/strict';
import test from 'node:test';
import { formatDate, formatStamp } from './date.ts';

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
