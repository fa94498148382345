// Notices about addresses, reports and messages by chance, of bytes that mean something to readers: whatever was put into a
// report, it has its three parts, its fields, one paragraph for each recipient, and the message unchanged.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, concatBytes, textOf } from '../../src/core/bytes/bytes.ts';
import { parseDomainMap } from '../../src/core/format/domain-map.ts';
import { formatBounce, planBounce } from '../../src/core/policy/bounce.ts';
import { formatFailureReport, formatNotification } from '../../src/core/policy/bounce-report.ts';
import { type Chance, fuzz } from '../support/fuzz.ts';
import { oneValue, readGroups, readPart, readQsbmf, readReportParts } from '../support/report-parts.ts';

const CONTROLS = {
  bouncefrom: bytesOf('MAILER-DAEMON'),
  bouncehost: bytesOf('mx.example'),
  doublebounceto: bytesOf('postmaster'),
  doublebouncehost: bytesOf('mx.example'),
  virtualdomains: parseDomainMap([]),
};
const SETTINGS = { controls: CONTROLS, nowMs: 0, token: 'aaaaaaaaaaaa', bytesMax: 60, untilMs: 0 };
const PIECES = [
  ...[
    '\n',
    '\r',
    '\r\n',
    '\n\n',
    '\0',
    ' ',
    '\t',
    '<',
    '>',
    '>:',
    ':',
    '"',
    '\\',
    '@',
    '.',
    ';',
    '-',
    '--',
    '+',
  ],
  ...[
    'a',
    '\xe9',
    '\xc3\xa9',
    '\x1b',
    'Bcc: evil@x',
    'Content-Type: text/html',
    '--=_report-',
    'Hi. This is the ',
  ],
  ...[
    'Remote host said: ',
    '550 5.1.1 no',
    'Connected to ',
    'Giving up on ',
    '(#5.1.1)',
    '<victim@x>:\n',
    'Action: delivered',
  ],
];

function text(chance: Chance): string {
  return Array.from({ length: chance.below(9) }, () => chance.of(PIECES)).join('');
}

function failures(chance: Chance) {
  return Array.from({ length: 1 + chance.below(3) }, () => ({
    address: bytesOf(text(chance)),
    report: text(chance),
    dsn: chance.of([
      undefined,
      { orcpt: 'rfc822;a+0Ab+3Bx', notify: 7 },
      { orcpt: 'x+0AAction:+20x;a' },
      { orcpt: 'no type' },
      { orcpt: `utf-8;${chance.of(['a', '\xc3\xa9'])}` },
    ]),
  }));
}

/** On its way through SMTP every CR and LF ends a line. */
function asSent(bytes: string): string {
  return bytes.replace(/\r\n|\r/g, '\n');
}

test('a report keeps its structure whatever it says', () => {
  fuzz((chance) => {
    const told = failures(chance);
    const plan = planBounce(bytesOf(text(chance)), CONTROLS);
    if (plan === undefined) return;
    const body = `A: b\n\n${text(chance)}`;
    const message = { id: 1, birthMs: 0, bytes: bytesOf(body), dsn: { envid: chance.of(['x', '+0D+0Ax']) } };
    const isDelay = chance.below(3) === 0;
    const pieces = isDelay
      ? formatNotification(
          plan,
          told.map((one) => ({ ...one, action: 'delayed' })),
          message,
          SETTINGS,
        )
      : formatFailureReport(plan, told, message, SETTINGS);
    const report = textOf(concatBytes(pieces));
    for (const read of [readReportParts(report), readReportParts(asSent(report))]) {
      assert.equal(read.header.length, 9);
      assert.equal(oneValue(read.header, 'subject'), isDelay ? 'delay notice' : 'failure notice');
      assert.equal(read.text.fields.length, 2);
      const groups = readGroups(read.status.body);
      assert.deepEqual(
        groups.map(
          (fields) => fields.filter(([name]) => name === 'action' || name === 'reporting-mta').length,
        ),
        [1, ...told.map(() => 1)],
      );
      if (!isDelay) assert.equal(readQsbmf(read.text.body).length, told.length);
      assert.equal(readPart(read.original.body).fields.length, 2);
    }
    const isWhole = !isDelay && body.length <= SETTINGS.bytesMax;
    if (isWhole) assert.ok(readReportParts(report).original.body.endsWith(body));
  });
});

test('a notice in the format of qmail has four fields and a paragraph for each recipient', () => {
  fuzz((chance) => {
    // There reports are as they came, which is without CR from other hosts.
    const told = failures(chance).map((one) => ({ ...one, report: one.report.replaceAll('\r', '') }));
    const plan = planBounce(bytesOf(text(chance)), CONTROLS);
    if (plan === undefined) return;
    const { fields, body } = readPart(asSent(textOf(formatBounce(plan, told, CONTROLS, 0))));
    assert.deepEqual(
      fields.map(([name]) => name),
      ['date', 'from', 'to', 'subject'],
    );
    assert.equal(readQsbmf(body).length, told.length);
  });
});
