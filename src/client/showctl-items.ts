// What qmail-showctl says about each control file: how it is read, and the words around its value. The order is that of the
// report. Source: the qmail-showctl and qmail-control manual pages.

/** A control file of one line, a number, or a list. */
export type ControlItem =
  | {
      readonly kind: 'line';
      readonly file: string;
      readonly before: string;
      /** What holds without the file: the value of `me` if that exists, or else this word. */
      readonly fallback: string;
      readonly usesMe: boolean;
    }
  | {
      readonly kind: 'number';
      readonly file: string;
      readonly before: string;
      readonly fallback: number;
      readonly after: string;
    }
  | {
      readonly kind: 'list';
      readonly file: string;
      readonly before: string;
      /** The sentence that holds without the file. */
      readonly fallback: string;
      readonly after: string;
    };

/** Files whose report depends on more than themselves; they come after rcpthosts. */
export const MORE_RCPTHOSTS = 'morercpthosts';
/** The compiled form of {@link MORE_RCPTHOSTS}. */
export const MORE_RCPTHOSTS_CDB = 'morercpthosts.cdb';

const RECIPIENTS_AT = 'SMTP clients may send messages to recipients at ';

/** All files but those two, in order. */
export const CONTROL_ITEMS: readonly ControlItem[] = [
  list('badmailfrom', '', 'Any MAIL FROM is allowed.', ' not accepted in MAIL FROM.'),
  line('bouncefrom', 'Bounce user name is ', 'MAILER-DAEMON'),
  lineLikeMe('bouncehost', 'Bounce host name is '),
  number('concurrencylocal', 'Local concurrency is ', 10, ''),
  number('concurrencyremote', 'Remote concurrency is ', 20, ''),
  number('databytes', 'SMTP DATA limit is ', 0, ' bytes'),
  lineLikeMe('defaultdomain', 'Default domain name is '),
  lineLikeMe('defaulthost', 'Default host name is '),
  lineLikeMe('doublebouncehost', '2B recipient host: '),
  line('doublebounceto', '2B recipient user: ', 'postmaster'),
  lineLikeMe('envnoathost', 'Presumed domain name is '),
  lineLikeMe('helohost', 'SMTP client HELO host name is '),
  lineLikeMe('idhost', 'Message-ID host name is '),
  lineLikeMe('localiphost', 'Local IP address becomes '),
  list('locals', 'Messages for ', 'Messages for me are delivered locally.', ' are delivered locally.'),
  line('me', 'My name is ', 'undefined! Uh-oh'),
  list('percenthack', 'The percent hack is allowed for user%host@', 'The percent hack is not allowed.', '.'),
  lineLikeMe('plusdomain', 'Plus domain name is '),
  list('qmqpservers', 'QMQP server: ', 'No QMQP servers.', '.'),
  number('queuelifetime', 'Message lifetime in the queue is ', 604_800, ' seconds'),
  list('rcpthosts', RECIPIENTS_AT, 'SMTP clients may send messages to any recipient.', '.'),
  lineLikeMe('smtpgreeting', 'SMTP greeting: 220 '),
  list('smtproutes', 'SMTP route: ', 'No artificial SMTP routes.', ''),
  number('timeoutconnect', 'SMTP client connection timeout is ', 60, ' seconds'),
  number('timeoutremote', 'SMTP client data timeout is ', 1200, ' seconds'),
  number('timeoutsmtpd', 'SMTP server data timeout is ', 1200, ' seconds'),
  list('virtualdomains', 'Virtual domain: ', 'No virtual domains.', ''),
];

const SMTP_SERVER = ['qmail-smtpd'];
const QUEUE = ['qmail-send', 'mini-qmail hub'];
const SMTP_CLIENT = ['qmail-remote', 'mini-qmail hub'];
const INJECT = ['qmail-inject'];

/** Programs that read each file. Source: the table of the qmail-control manual page. */
export const READ_BY: { readonly [file: string]: readonly string[] } = {
  badmailfrom: SMTP_SERVER,
  bouncefrom: QUEUE,
  bouncehost: QUEUE,
  concurrencylocal: QUEUE,
  concurrencyremote: QUEUE,
  databytes: [...SMTP_SERVER, 'mini-qmail hub'],
  defaultdomain: INJECT,
  defaulthost: INJECT,
  doublebouncehost: QUEUE,
  doublebounceto: QUEUE,
  envnoathost: QUEUE,
  helohost: SMTP_CLIENT,
  idhost: INJECT,
  localiphost: SMTP_SERVER,
  locals: QUEUE,
  me: ['qmail-inject', 'qmail-qmqpc', 'qmail-smtpd', 'qmail-send', 'qmail-remote', 'mini-qmail hub'],
  percenthack: QUEUE,
  plusdomain: INJECT,
  qmqpservers: ['qmail-qmqpc'],
  queuelifetime: QUEUE,
  rcpthosts: SMTP_SERVER,
  [MORE_RCPTHOSTS]: ['qmail-newmrh'],
  [MORE_RCPTHOSTS_CDB]: SMTP_SERVER,
  smtpgreeting: SMTP_SERVER,
  smtproutes: SMTP_CLIENT,
  timeoutconnect: SMTP_CLIENT,
  timeoutremote: SMTP_CLIENT,
  timeoutsmtpd: SMTP_SERVER,
  virtualdomains: QUEUE,
};

/** The item of morercpthosts, which is of no effect without rcpthosts. */
export function moreRcpthostsItem(hasRcpthosts: boolean): ControlItem {
  return hasRcpthosts
    ? list(MORE_RCPTHOSTS, RECIPIENTS_AT, 'No effect.', '.')
    : list(
        MORE_RCPTHOSTS,
        "No rcpthosts; doesn't matter that morercpthosts has ",
        'No rcpthosts; morercpthosts is irrelevant.',
        '.',
      );
}

function line(file: string, before: string, fallback: string): ControlItem {
  return { kind: 'line', file, before, fallback, usesMe: false };
}

function lineLikeMe(file: string, before: string): ControlItem {
  return { kind: 'line', file, before, fallback: file, usesMe: true };
}

function number(file: string, before: string, fallback: number, after: string): ControlItem {
  return { kind: 'number', file, before, fallback, after };
}

function list(file: string, before: string, fallback: string, after: string): ControlItem {
  return { kind: 'list', file, before, fallback, after };
}
