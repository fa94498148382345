// What becomes of an msmtprc: of its default account. Source: the msmtp manual.

import type { ConfigSetting } from '../core/format/config-lines.ts';
import { type MsmtpAccount, parseMsmtpConfig } from '../core/format/msmtp-config.ts';
import type { ImportReport, Source } from './import-report.ts';

const SECRET = ['password', 'passwordeval', 'tls_key_file'];
const TLS_NOTE = 'the hub uses TLS to its relay where that offers it';
const BY_HUB = 'the hub connects to the relay, in its own way';
const ADDED = 'missing fields Date, Message-ID and From are always added';
const REPORTED = 'the exit code and standard error tell what happened; the hub keeps the log';

/** Command to what is to be said of it; those without an entry here are below. */
const NOTES: { readonly [name: string]: string } = {
  auth: 'the hub logs in at its relay, the client needs no name',
  user: 'the hub logs in at its relay, the client needs no name',
  ntlmdomain: 'the hub logs in at its relay, the client needs no name',
  ...Object.fromEntries(
    [
      '',
      '_starttls',
      '_trust_file',
      '_crl_file',
      '_fingerprint',
      '_cert_file',
      '_certcheck',
      '_min_dh_prime_bits',
    ]
      .concat('_priorities', '_host_override', '_nocertcheck', '_nostarttls', '_force_sslv3')
      .map((end) => [`tls${end}`, TLS_NOTE]),
  ),
  timeout: BY_HUB,
  connect_timeout: BY_HUB,
  proxy_host: BY_HUB,
  proxy_port: BY_HUB,
  source_ip: BY_HUB,
  socket: BY_HUB,
  protocol: BY_HUB,
  dsn_notify: 'the hub tells senders of what cannot be delivered, and of nothing else',
  dsn_return: 'the hub tells senders of what cannot be delivered, and of nothing else',
  aliases: 'a null client has no aliases: they belong on the hub',
  logfile: REPORTED,
  logfile_time_format: REPORTED,
  syslog: REPORTED,
  keepbcc: 'Bcc fields are never passed on',
  remove_bcc_headers: 'Bcc fields are never passed on',
  undisclosed_recipients: 'a To field of the message stays as it is',
  allow_from_override: 'option -f always wins',
  add_missing_from_header: ADDED,
  add_missing_date_header: ADDED,
  set_date_header: ADDED,
  set_msgid_header: ADDED,
  set_from_header: 'QMAILINJECT=f replaces the From field of every message, if that is wanted',
  auto_from: 'a sender is always made of the user and the default host',
};
const KNOWN = [
  ...Object.keys(NOTES),
  ...SECRET,
  'host',
  'port',
  'domain',
  'from',
  'from_full_name',
  'maildomain',
  'eval',
];

/** Reports the settings of the default account, and which accounts are left out. */
export function importMsmtp(report: ImportReport, file: string, content: Uint8Array): undefined {
  const { accounts, problems } = parseMsmtpConfig(content, KNOWN);
  report.problems(file, problems);
  const chosen =
    accounts.find(({ name }) => name === 'default') ?? (accounts.length === 1 ? accounts[0] : undefined);
  const inUse = new Set(chosen?.settings.map(({ line }) => line));
  for (const account of accounts) {
    const source = { file, line: account.line, setting: 'account', value: account.name };
    if (account === chosen) importAccount(report, file, account);
    else if (chosen === undefined)
      report.malformed(source, 'no account is called default: call one so, or import it alone');
    else if (!account.settings.every(({ line }) => inUse.has(line))) {
      report.none(
        source,
        'not the default account: there is one set of servers; QMQPSERVERS chooses others for a call',
      );
    }
  }
}

function importAccount(report: ImportReport, file: string, { settings }: MsmtpAccount): undefined {
  const port = settings.find(({ name }) => name === 'port')?.value ?? '';
  const inOrder = [...settings].sort((a, b) => a.line - b.line);
  for (const setting of inOrder) importSetting(report, sourceOf(file, setting), port);
}

function sourceOf(file: string, { line, name, value }: ConfigSetting): Source {
  return { file, line, setting: name, value };
}

function importSetting(report: ImportReport, source: Source, port: string): undefined {
  const { setting: name, value } = source;
  if (SECRET.includes(name)) return report.secret(source);
  switch (name) {
    case 'host':
      return report.smarthost(source, value, port);
    case 'port':
      return report.hub(source, '', 'goes with host');
    case 'domain':
      return report.hub(source, '', 'what the hub calls itself is in its control/helohost');
    case 'maildomain':
      return report.control(source, 'defaulthost', value, 'for addresses without a host');
    case 'from_full_name':
      return report.environment(source, 'QMAILNAME', 'the name in a From field that is added');
    case 'eval':
      return report.none(
        { ...source, value: '(not shown)' },
        'runs a program that writes settings: write them here',
      );
    case 'from':
      if (/[%*]/.test(value))
        return report.none(source, 'a pattern: set QMAILUSER and QMAILHOST for each user');
      return report.sender(
        source,
        value,
        '',
        'for the envelope sender and a From field that is added; -f wins',
      );
    default:
      return report.none(source, NOTES[name] ?? '');
  }
}
