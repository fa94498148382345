// What becomes of ssmtp.conf. Source: ssmtp.conf(5).

import { parseSsmtpConfig } from '../core/format/key-value-config.ts';
import type { ImportReport, Source } from './import-report.ts';

const LOGIN = ['authpass', 'tlskey'];
const LOGIN_WAY = ['authuser', 'authmethod', 'useoldauth'];
const TLS = ['usetls', 'usestarttls', 'usetlscert', 'tlscert', 'tls_ca_file', 'tls_ca_dir'];

/** Reports the settings of an ssmtp.conf. */
export function importSsmtp(report: ImportReport, file: string, content: Uint8Array): undefined {
  const { settings, problems } = parseSsmtpConfig(content);
  for (const { line, name, value } of settings) importSetting(report, { file, line, setting: name, value });
  report.problems(file, problems);
}

function importSetting(report: ImportReport, source: Source): undefined {
  const { setting: name, value } = source;
  if (LOGIN.includes(name)) return report.secret(source);
  if (LOGIN_WAY.includes(name))
    return report.none(source, 'the hub logs in at its relay, the client needs no name');
  if (TLS.includes(name)) return report.none(source, 'the hub uses TLS to its relay where that offers it');
  if (value === '') return report.none(source, 'empty: nothing to do');
  switch (name) {
    case 'mailhub': {
      const [, host = value, port = ''] = /^(\[[^\]]*\]|[^:]*):([^:]*)$/.exec(value) ?? [];
      return report.smarthost(source, host, port);
    }
    case 'rewritedomain':
      return report.control(source, 'defaulthost', value, 'for addresses without a host');
    case 'hostname':
      return report.control(source, 'me');
    case 'fromlineoverride':
      if (/^(yes|on|1|true)$/i.test(value))
        return report.builtIn(source, 'a From field of the message stays');
      return report.environment(source, 'QMAILINJECT=f', 'replaces the From field of every message');
    case 'root':
      return report.none(source, `on the hub, let mail to root and other system users go there`);
    case 'debug':
      return report.none(source, 'see mini-qmail explain');
    default:
      return report.unknown(source, 'ssmtp');
  }
}
