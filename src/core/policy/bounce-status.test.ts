import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXPIRED, readReport } from './bounce-status.ts';
import { diedReport, NO_CONNECTION, recipientReport, refusalReport } from './smtp-report.ts';

const HOST = '192.0.2.1';

for (const [report, status, host, words, isReply] of [
  [
    recipientReport(HOST, 550, '550 5.1.1 no such user').text,
    ...['5.1.1', HOST, '550 5.1.1 no such user', true],
  ],
  [recipientReport(HOST, 550, '550 no such user').text, '5.0.0', HOST, '550 no such user', true],
  [
    recipientReport(HOST, 550, '550-5.7.1 one\n550 5.7.1 two').text,
    ...['5.7.1', HOST, '550-5.7.1 one\n550 5.7.1 two', true],
  ],
  [refusalReport(HOST, 'message', 554, '554 spam (#5.7.9)').text, '5.7.9', HOST, '554 spam (#5.7.9)\n', true],
  [refusalReport(HOST, 'greeting', 554, '554 5.3.2 no').text, '5.3.2', HOST, '554 5.3.2 no\n', true],
  [recipientReport(HOST, 550, '550 2.1.5 fine').text, '5.0.0', HOST, '550 2.1.5 fine', true],
  [recipientReport(HOST, 550, '550 5.1.1234 x').text, '5.0.0', HOST, '550 5.1.1234 x', true],
  [recipientReport(HOST, 550, 'nonsense').text, '5.0.0', HOST, 'nonsense', false],
  [recipientReport(HOST, 450, '450 4.2.2 full').text + EXPIRED, '4.2.2', HOST, '450 4.2.2 full', true],
  [NO_CONNECTION.text, '4.4.1', undefined, NO_CONNECTION.text, false],
  [diedReport(HOST, false).text + EXPIRED, '4.4.2', undefined, diedReport(HOST, false).text, false],
  [`later\n${EXPIRED}`, '4.4.7', undefined, 'later\n', false],
  ['Sorry, no mailbox here by that name. (#5.1.1)\n', '5.1.1', undefined, undefined, false],
  ['(#5.1) (#6.1.1) (#5.1.1.1) (#5.2.2)\n', '5.2.2', undefined, undefined, false],
  ['', '5.0.0', undefined, '', false],
] as const) {
  test(`readReport() of the failure ${JSON.stringify(report)}`, () => {
    const expected = { status, host, words: words ?? report, isReply };
    assert.deepEqual(readReport(report, 'failure'), expected);
  });
}

test('readReport() takes a code of the class that the outcome has', () => {
  assert.equal(
    readReport('h accepted message.\nRemote host said: 250 2.1.5 ok\n', 'success').status,
    '2.1.5',
  );
  assert.equal(readReport('did 1+0+0\n', 'success').status, '2.0.0');
  assert.equal(readReport('later (#4.3.0)\n', 'delay').status, '4.3.0');
  assert.equal(readReport('later (#5.3.0)\n', 'delay').status, '4.0.0');
});
