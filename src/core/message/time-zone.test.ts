import assert from 'node:assert/strict';
import { test } from 'node:test';
import { posixZoneOffset } from './time-zone.ts';

const JANUARY = Date.UTC(2026, 0, 15) / 1000;
const JULY = Date.UTC(2026, 6, 15) / 1000;

test('posixZoneOffset() reads offsets west of Greenwich, with sign, minutes and seconds', () => {
  for (const [zone, offset] of [
    ['UTC0', 0],
    ['EST5', -18000],
    ['ABC-5:30', 19800],
    ['ABC3:30', -12600],
    ['ABC-14', 50400],
    ['ABC+0:00:40', -40],
    ['<+0530>-5:30', 19800],
  ] as const)
    assert.equal(posixZoneOffset(zone, JULY), offset, zone);
});

test('posixZoneOffset() leaves everything else to others', () => {
  const others = [
    'Europe/Berlin',
    'EST',
    'A5',
    '',
    ':EST5',
    'EST5EDT,',
    'EST5EDT,M3.2.0',
    'EST5EDT,M13.2.0,M11.1.0',
  ];
  for (const zone of [...others, '<abc', 'EST5:60', 'EST5x', 'EST999', 'EST5EDT,M3.2.0,M11.1.0x'])
    assert.equal(posixZoneOffset(zone, JULY), undefined, zone);
});

test('posixZoneOffset() knows summer time on both halves of the earth', () => {
  assert.equal(posixZoneOffset('EST5EDT', JANUARY), -18000);
  assert.equal(posixZoneOffset('EST5EDT', JULY), -14400);
  assert.equal(posixZoneOffset('AEST-10AEDT,M10.1.0,M4.1.0/3', JANUARY), 39600);
  assert.equal(posixZoneOffset('AEST-10AEDT,M10.1.0,M4.1.0/3', JULY), 36000);
  assert.equal(posixZoneOffset('ABC0DEF-2,J60/0,J300', JULY), 7200);
  assert.equal(posixZoneOffset('ABC0DEF-2,59/0,299', JANUARY), 0);
});

const PLACES: readonly (readonly [string, string])[] = [
  ['Europe/Berlin', 'CET-1CEST,M3.5.0,M10.5.0/3'],
  ['America/New_York', 'EST5EDT,M3.2.0,M11.1.0'],
  ['Australia/Sydney', 'AEST-10AEDT,M10.1.0,M4.1.0/3'],
  ['America/St_Johns', 'NST3:30NDT,M3.2.0,M11.1.0'],
];

for (const [place, zone] of PLACES) {
  test(`posixZoneOffset() of ${zone} agrees with ${place} at every hour of change`, () => {
    const format = new Intl.DateTimeFormat('en-GB', { timeZone: place, timeZoneName: 'longOffset' });
    for (let day = Date.UTC(2012, 0, 1); day < Date.UTC(2036, 0, 1); day += 86_400_000) {
      const month = new Date(day).getUTCMonth();
      if (![2, 3, 9, 10].includes(month)) continue;
      for (const hours of [0, 1, 7, 15, 16]) {
        const ms = day + hours * 3_600_000;
        const name = format.formatToParts(ms).find(({ type }) => type === 'timeZoneName')?.value ?? '';
        const [, sign, h, m] = /GMT(?:([+-])(\d\d):(\d\d))?/.exec(name) ?? [];
        const offset = (Number(h ?? 0) * 60 + Number(m ?? 0)) * 60 * (sign === '-' ? -1 : 1);
        assert.equal(posixZoneOffset(zone, ms / 1000), offset, `${new Date(ms).toISOString()} ${name}`);
      }
    }
  });
}
