// Notices to senders as reports: of failure with qmail's own text as their first part, so that what reads that format still
// finds it; of delay and success, which qmail has none of, in words of their own, so that nothing takes them for failures.
// Source: RFC 3464; RFC 3461 sections 5 and 6.

import { ByteBuffer } from '../bytes/byte-buffer.ts';
import { bytesOf, concatBytes, textOf } from '../bytes/bytes.ts';
import { formatDate, formatStamp } from '../message/date.ts';
import { type DsnAction, type DsnRecipient, formatDsnFields, needsGlobal } from '../message/dsn-fields.ts';
import { formatReport, formatSelfFields, formatTextFields, headerOf } from '../message/mime-report.ts';
import { decodeXtext } from '../protocol/smtp/dsn-parameters.ts';
import {
  type BounceControls,
  type BounceFailure,
  type BouncePlan,
  formatBounceText,
  formatNoticeHeader,
  formatParagraph,
  formatReturnPath,
  withoutLineEnds,
} from './bounce.ts';
import { type ReportedStatus, readReport } from './bounce-status.ts';
import { type MessageDsn, NOTIFY, type RecipientDsn } from './notification.ts';
import { stripVirtualPrepend } from './recipient.ts';

/** A failure, with what its sender asked. */
export interface AskedFailure extends BounceFailure {
  readonly dsn?: RecipientDsn | undefined;
}

/** Something else to tell of a recipient, on request. */
export interface Notification extends AskedFailure {
  readonly action: Exclude<DsnAction, 'failed'>;
}

/** The message that a report is about. */
export interface ReportedMessage {
  readonly id: number;
  readonly birthMs: number;
  readonly dsn?: MessageDsn | undefined;
  readonly bytes: Uint8Array;
}

/** What a report is made with, beside what it says. */
export interface ReportSettings {
  readonly controls: BounceControls;
  readonly nowMs: number;
  /** Twelve or more letters and digits, by chance. */
  readonly token: string;
}

/** The failures that the sender wants to know of: all but those for which it asked for something else. */
export function selectWanted<Failure extends AskedFailure>(failures: readonly Failure[]): Failure[] {
  const wanted: Failure[] = [];
  for (let i = 0; i < failures.length; i++) {
    const notify = failures[i]!.dsn?.notify;
    if (notify === undefined || (notify & NOTIFY.failure) !== 0) wanted.push(failures[i]!);
  }
  return wanted;
}

/**
 * A report of failure, in pieces. The message is returned whole unless its sender asked for the header alone or it has more
 * bytes than `bytesMax`.
 */
export function formatFailureReport(
  plan: BouncePlan,
  failures: readonly AskedFailure[],
  message: ReportedMessage,
  settings: ReportSettings & { readonly bytesMax: number },
): readonly Uint8Array[] {
  const { controls, bytesMax } = settings;
  const isWhole = message.dsn?.ret !== 'hdrs' && message.bytes.length <= bytesMax;
  const recipients: DsnRecipient[] = [];
  const told: BounceFailure[] = [];
  for (let i = 0; i < failures.length; i++) {
    const { report } = failures[i]!;
    recipients.push(describe(failures[i]!, 'failed', readReport(report, 'failure'), controls));
    told.push(withoutReturns(failures[i]!));
  }
  const text = formatBounceText(plan, told, controls, isWhole ? 'message' : 'header');
  return compose(plan, 'failure notice', { text, recipients, isWhole }, message, settings);
}

/** A report of what is delayed, delivered, or handed to a host that sends no reports; only with the message's header. */
export function formatNotification(
  plan: Pick<BouncePlan, 'recipient' | 'returnPath'>,
  notifications: readonly Notification[],
  message: ReportedMessage,
  settings: ReportSettings & { readonly untilMs: number },
): readonly Uint8Array[] {
  const { controls, untilMs } = settings;
  const recipients: DsnRecipient[] = [];
  let isDelay = false;
  for (let i = 0; i < notifications.length; i++) {
    const { action, report } = notifications[i]!;
    const status = readReport(report, action === 'delayed' ? 'delay' : 'success');
    isDelay = isDelay || action === 'delayed';
    recipients.push({
      ...describe(notifications[i]!, action, status, controls),
      untilMs: action === 'delayed' ? untilMs : undefined,
    });
  }
  const text = formatNotificationText(notifications, controls, untilMs);
  const subject = isDelay ? 'delay notice' : 'success notice';
  return compose(plan, subject, { text, recipients, isWhole: false }, message, settings);
}

/** Without the CRs of a report, which could make a blank line on the way through SMTP. */
function withoutReturns({ address, report }: BounceFailure): BounceFailure {
  return { address, report: report.split('\r').join('') };
}

function compose(
  plan: Pick<BouncePlan, 'recipient' | 'returnPath'>,
  subject: string,
  content: { text: Uint8Array; recipients: readonly DsnRecipient[]; isWhole: boolean },
  { id, birthMs, dsn, bytes }: ReportedMessage,
  { controls, nowMs, token }: ReportSettings,
): readonly Uint8Array[] {
  const { text, recipients, isWhole } = content;
  const envid = dsn?.envid === undefined ? undefined : decodeXtext(dsn.envid);
  return formatReport({
    header: formatNoticeHeader(plan.recipient, subject, controls, nowMs),
    messageId: formatMessageId(id, controls, nowMs, token),
    text,
    fields: formatDsnFields({ host: controls.bouncehost, envid, arrivalMs: birthMs, id }, recipients),
    isGlobal: needsGlobal(recipients),
    original: [formatReturnPath(plan.returnPath), isWhole ? bytes : headerOf(bytes)],
    isWhole,
    token,
  });
}

function describe(
  { address, dsn }: AskedFailure,
  action: DsnAction,
  { status, host, words, isReply }: ReportedStatus,
  { virtualdomains }: BounceControls,
): DsnRecipient {
  const original = dsn?.orcpt === undefined ? undefined : decodeOriginal(dsn.orcpt);
  const known = stripVirtualPrepend(address, virtualdomains);
  return { address: known, original, action, status, host, words, isReply };
}

/** Only the address is in xtext; a type may have a plus sign too. */
function decodeOriginal(orcpt: string): string {
  const end = orcpt.indexOf(';');
  return `${orcpt.substring(0, end)}; ${decodeXtext(orcpt.substring(end + 1))}`;
}

const INTRODUCTIONS = {
  delivered: 'As you asked to be told: your message has been delivered to the following addresses.\n\n',
  relayed:
    'As you asked to be told: your message has been handed to a server that does not\n' +
    'report deliveries, for the following addresses.\n\n',
  delayed:
    'Your message could not be delivered yet to the following addresses.\n' + 'You need not send it again: ',
};
const ACTIONS: readonly Notification['action'][] = ['delivered', 'relayed', 'delayed'];

function formatNotificationText(
  notifications: readonly Notification[],
  { bouncehost, virtualdomains }: BounceControls,
  untilMs: number,
): Uint8Array {
  const text = new ByteBuffer(1024);
  text.appendText('This is the mail server at ');
  text.append(bouncehost);
  text.appendText('.\n');
  for (let a = 0; a < ACTIONS.length; a++) {
    const action = ACTIONS[a]!;
    let isFirst = true;
    for (let i = 0; i < notifications.length; i++) {
      if (notifications[i]!.action !== action) continue;
      if (isFirst) text.appendText(INTRODUCTIONS[action]);
      if (isFirst && action === 'delayed')
        text.appendText(`it will be tried until ${formatDate(untilMs)}.\n\n`);
      isFirst = false;
      text.append(formatParagraph(withoutReturns(notifications[i]!), virtualdomains));
    }
  }
  return text.toBytes();
}

/** One of the messages that a digest tells of. */
export interface DigestEntry {
  readonly id: number;
  readonly birthMs: number;
  /** As it stands in the header, without blanks; may be empty. */
  readonly messageId: Uint8Array;
  readonly failures: readonly AskedFailure[];
}

/** One notice about many messages that failed for one sender, in qmail's format, without copies of them. */
export function formatDigest(
  plan: BouncePlan,
  entries: readonly DigestEntry[],
  { controls, nowMs, token }: ReportSettings,
  isPlain: boolean,
): Uint8Array {
  const failures: BounceFailure[] = [];
  for (let i = 0; i < entries.length; i++) {
    const { id, birthMs, messageId, failures: ofMessage } = entries[i]!;
    const name = messageId.length === 0 ? '' : `, Message-ID ${textOf(withoutLineEnds(messageId))}`;
    const about = `Message ${id} of ${formatDate(birthMs)}${name}:\n`;
    for (let f = 0; f < ofMessage.length; f++)
      failures.push(withoutReturns({ address: ofMessage[f]!.address, report: about + ofMessage[f]!.report }));
  }
  const text = formatBounceText(plan, failures, controls, { messages: entries.length });
  const messageId = formatMessageId(entries[0]?.id ?? 0, controls, nowMs, token);
  return concatBytes([
    formatNoticeHeader(plan.recipient, 'failure notice', controls, nowMs),
    isPlain ? bytesOf('') : formatSelfFields(messageId),
    isPlain ? bytesOf('') : formatTextFields(text),
    bytesOf('\n'),
    text,
  ]);
}

function formatMessageId(id: number, controls: BounceControls, nowMs: number, token: string): Uint8Array {
  const local = `${formatStamp(nowMs)}.${id}.${token.substring(0, 8)}`;
  return concatBytes([bytesOf(`${local}@`), controls.bouncehost]);
}
