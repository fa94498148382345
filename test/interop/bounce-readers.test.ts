// Notices as other people's programs read them that take bounces apart: Python's email package, flufl.bounce (Mailman's), and
// Perl's Mail::DeliveryStatus::BounceParser. Each must name who failed and why, and not take a delay for a failure.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { bytesOf, concatBytes } from '../../src/core/bytes/bytes.ts';
import { formatBounce, planBounce } from '../../src/core/policy/bounce.ts';
import {
  formatDigest,
  formatFailureReport,
  formatNotification,
} from '../../src/core/policy/bounce-report.ts';
import { recipientReport } from '../../src/core/policy/smtp-report.ts';
import { CONTROLS } from '../delivery/support.ts';
import { skipUnless } from '../support/peers.ts';

/** Debian's own, whose packages others in PATH do not have. */
const PYTHON = '/usr/bin/python3';
const PERL = '/usr/bin/perl';

const FLUFL = `
import sys, email
from flufl.bounce import all_failures
temporary, permanent = all_failures(email.message_from_binary_file(sys.stdin.buffer))
print(b' '.join(sorted(temporary)).decode(), b' '.join(sorted(permanent)).decode(), sep='|')
`;
const EMAIL = `
import sys, email, email.policy
message = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
text, status, original = message.iter_parts()
groups = status.get_payload()
print(message['auto-submitted'], message.get_param('report-type'), status.get_content_type(), sep='|')
print(*(group.get('Action', '') + ' ' + group.get('Status', '') + ' ' + str(group.get('Final-Recipient', '')) for group in groups[1:]), sep='|')
print(original.get_payload()[0]['subject'] if original.is_multipart() else original.get_content_type())
print(text.get_content().splitlines()[0])
print([str(defect) for part in message.walk() for defect in part.defects])
`;
const BOUNCE_PARSER = `
use Mail::DeliveryStatus::BounceParser;
my $bounce = Mail::DeliveryStatus::BounceParser->new(join('', <STDIN>));
print $bounce->is_bounce ? 'bounce' : 'none', ' ', $bounce->orig_message_id // '', "\\n";
print join('|', sort map { join ' ', $_->get('email'), $_->get('std_reason') } $bounce->reports), "\\n";
`;

const SETTINGS = {
  controls: CONTROLS,
  nowMs: 1_767_582_245_000,
  token: '0123456789abcdef',
  bytesMax: 1000,
  untilMs: 1e12,
};
const PLAN = planBounce(bytesOf('joe@a.example'), CONTROLS)!;
const FAILURES = [
  {
    address: bytesOf('ann@far.example'),
    report: recipientReport('192.0.2.1', 550, '550 5.1.1 no such user').text,
  },
  { address: bytesOf('bob@near.example'), report: 'mailbox full (#5.2.2)\n' },
];
const MESSAGE = {
  ...{ id: 5, birthMs: 1_767_582_000_000 },
  bytes: bytesOf('Received: x\nMessage-ID: <1@a.example>\nSubject: original\nFrom: joe@a.example\n\nbody\n'),
};
const NOTICES = {
  report: concatBytes(formatFailureReport(PLAN, FAILURES, MESSAGE, SETTINGS)),
  'report with a header': concatBytes(
    formatFailureReport(PLAN, FAILURES, MESSAGE, { ...SETTINGS, bytesMax: 0 }),
  ),
  'notice in the format of qmail': concatBytes([formatBounce(PLAN, FAILURES, CONTROLS, 0), MESSAGE.bytes]),
  'notice about several messages': formatDigest(
    PLAN,
    FAILURES.map((failure) => ({ ...MESSAGE, messageId: bytesOf('<1@a>'), failures: [failure] })),
    SETTINGS,
    false,
  ),
};
const DELAY = concatBytes(
  formatNotification(
    PLAN,
    FAILURES.map((one) => ({ ...one, action: 'delayed' as const })),
    MESSAGE,
    SETTINGS,
  ),
);

function runs(program: string, ...args: string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

function read(program: string, args: readonly string[], notice: Uint8Array): string[] {
  const { status, stdout, stderr } = spawnSync(program, args, { input: notice, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout.trimEnd().split('\n');
}

const noFlufl = runs(PYTHON, '-c', 'import flufl.bounce') ? [] : ['python3-flufl.bounce is not installed'];
describe('flufl.bounce', { skip: skipUnless(noFlufl) }, () => {
  for (const [name, notice] of Object.entries(NOTICES))
    test(`finds who failed in a ${name}`, () =>
      assert.deepEqual(read(PYTHON, ['-c', FLUFL], notice), ['|ann@far.example bob@near.example']));

  test('finds in a notice of delay that it is no failure', () =>
    assert.deepEqual(read(PYTHON, ['-c', FLUFL], DELAY), ['ann@far.example bob@near.example|']));
});

const noPython = runs(PYTHON, '-c', 'import email') ? [] : ['python3 is not installed'];
describe("Python's email package", { skip: skipUnless(noPython) }, () => {
  const groups = 'failed 5.1.1 rfc822; ann@far.example|failed 5.2.2 rfc822; bob@near.example';
  for (const [name, third] of [
    ['report', 'original'],
    ['report with a header', 'text/rfc822-headers'],
  ] as const)
    test(`finds three parts and no fault in a ${name}`, () =>
      assert.deepEqual(read(PYTHON, ['-c', EMAIL], NOTICES[name]), [
        'auto-replied|delivery-status|message/delivery-status',
        groups,
        third,
        'Hi. This is the qmail-send program at mx.example.',
        '[]',
      ]));
});

const noParser = runs(PERL, '-MMail::DeliveryStatus::BounceParser', '-e', '1')
  ? []
  : ['libmail-deliverystatus-bounceparser-perl is not installed'];
describe('Mail::DeliveryStatus::BounceParser', { skip: skipUnless(noParser) }, () => {
  for (const [name, notice] of Object.entries(NOTICES).slice(0, 2))
    test(`finds who failed, why, and of which message in a ${name}`, () =>
      assert.deepEqual(read(PERL, ['-e', BOUNCE_PARSER], notice), [
        'bounce <1@a.example>',
        'ann@far.example user_unknown|bob@near.example over_quota',
      ]));

  test('finds that a notice of delay is no bounce', () =>
    assert.deepEqual(read(PERL, ['-e', BOUNCE_PARSER], DELAY), ['none <1@a.example>']));
});
