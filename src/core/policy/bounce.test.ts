import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { parseDomainMap } from '../format/domain-map.ts';
import { formatBounce, formatParagraph, planBounce } from './bounce.ts';

const CONTROLS = {
  bouncefrom: bytesOf('MAILER-DAEMON'),
  bouncehost: bytesOf('mx.example.org'),
  doublebounceto: bytesOf('postmaster'),
  doublebouncehost: bytesOf('mx.example.org'),
  virtualdomains: parseDomainMap([bytesOf('virt.example:joe')]),
};

for (const [report, paragraph] of [
  ['perm fail\n', '<joe@h>:\nperm fail\n\n'],
  ['', '<joe@h>:\n\n'],
  ['no newline', '<joe@h>:\nno newline\n\n'],
  ['first line\n\n\n\nmore\n\n', '<joe@h>:\nfirst line\n///more\n\n\n'],
  ['\n', '<joe@h>:\n\n\n'],
  ['\nx', '<joe@h>:\n/x\n\n'],
  ['\xe9\n', '<joe@h>:\n\xe9\n\n'],
] as const) {
  test(`formatParagraph() of the report ${JSON.stringify(report)}`, () => {
    const text = formatParagraph({ address: bytesOf('joe@h'), report }, CONTROLS.virtualdomains);
    assert.equal(textOf(text), paragraph);
  });
}

test('formatParagraph() hides a virtual domain and keeps an address on its line', () => {
  const paragraph = (address: string) =>
    textOf(formatParagraph({ address: bytesOf(address), report: 'x' }, CONTROLS.virtualdomains));
  assert.equal(paragraph('joe-bad@virt.example'), '<bad@virt.example>:\nx\n\n');
  assert.equal(paragraph('a\n>:\nb@h'), '<a_>:_b@h>:\nx\n\n');
});

function notice(sender: string, nowMs = 1_767_582_245_000): string | undefined {
  const plan = planBounce(bytesOf(sender), CONTROLS);
  const failures = [{ address: bytesOf('ann@far.example'), report: 'gone\n' }];
  return plan && textOf(formatBounce(plan, failures, CONTROLS, nowMs));
}

test('formatBounce() writes the notice to the byte', () => {
  assert.equal(
    notice('jo e@a.example'),
    'Date: 5 Jan 2026 03:04:05 -0000\nFrom: MAILER-DAEMON@mx.example.org\nTo: "jo e"@a.example\n' +
      'Subject: failure notice\n\nHi. This is the qmail-send program at mx.example.org.\n' +
      "I'm afraid I wasn't able to deliver your message to the following addresses.\n" +
      "This is a permanent error; I've given up. Sorry it didn't work out.\n\n" +
      '<ann@far.example>:\ngone\n\n--- Below this line is a copy of the message.\n\n' +
      'Return-Path: <"jo e"@a.example>\n',
  );
});

test('formatBounce() writes a double bounce to the byte', () => {
  assert.equal(
    notice(''),
    'Date: 5 Jan 2026 03:04:05 -0000\nFrom: MAILER-DAEMON@mx.example.org\nTo: postmaster@mx.example.org\n' +
      'Subject: failure notice\n\nHi. This is the qmail-send program at mx.example.org.\n' +
      'I tried to deliver a bounce message to this address, but the bounce bounced!\n\n' +
      '<ann@far.example>:\ngone\n\n--- Below this line is the original bounce.\n\nReturn-Path: <>\n',
  );
});

test('formatBounce() lets no sender add a header line', () => {
  assert.match(notice('x\nBcc: evil@x\n@a')!, /^To: "x\\_Bcc: evil@x\\_"@a\nSubject:/m);
});

for (const [sender, kind, envelopeSender, recipient] of [
  ['joe@a', 'single', '', 'joe@a'],
  ['owner-@a-@[]', 'single', '', 'owner-@a'],
  ['', 'double', '#@[]', 'postmaster@mx.example.org'],
  ['-@[]', 'double', '#@[]', 'postmaster@mx.example.org'],
] as const) {
  test(`planBounce() for <${sender}> is a ${kind} bounce to <${recipient}>`, () => {
    const plan = planBounce(bytesOf(sender), CONTROLS)!;
    assert.deepEqual(
      [plan.kind, textOf(plan.sender), textOf(plan.recipient)],
      [kind, envelopeSender, recipient],
    );
  });
}

test('planBounce() discards a triple bounce', () =>
  assert.equal(planBounce(bytesOf('#@[]'), CONTROLS), undefined));
