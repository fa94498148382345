// What becomes of dma.conf. Source: dma(8).

import { parseDmaConfig } from '../core/format/key-value-config.ts';
import type { ImportReport, Source } from './import-report.ts';

const FLAGS = [
  'SECURETRANSFER',
  'STARTTLS',
  'OPPORTUNISTIC_TLS',
  'INSECURE',
  'DEFER',
  'FULLBOUNCE',
  'NULLCLIENT',
];
const NOTES: { readonly [name: string]: string } = {
  ALIASES: 'a null client has no aliases: they belong on the hub',
  SPOOLDIR: 'there is no spool on this host',
  VIRTUALPATH: 'belongs on the hub, as control/virtualdomains',
  SECURETRANSFER: 'the hub uses TLS to its relay where that offers it',
  STARTTLS: 'the hub uses TLS to its relay where that offers it',
  OPPORTUNISTIC_TLS: 'the hub uses TLS to its relay where that offers it',
  FINGERPRINT: 'the hub does not check the certificate of its relay',
  CERTFILE: 'the hub has no certificate of its own',
  INSECURE: 'the hub logs in at its relay, the client needs no name',
  DEFER: 'mail is handed over at once, or the sender is told',
  FULLBOUNCE: 'notices are made on the hub',
};

/**
 * Reports the settings of a dma.conf.
 * @param readName gives the content of a file that MAILNAME names, or undefined
 */
export function importDma(
  report: ImportReport,
  file: string,
  content: Uint8Array,
  readName: (path: string) => string | undefined,
): undefined {
  const { settings, problems } = parseDmaConfig(content);
  const port = settings.filter(({ name, value }) => name === 'PORT' && value !== '').at(-1)?.value ?? '';
  for (const { line, name, value } of settings) {
    const source = { file, line, setting: name, value };
    if (FLAGS.includes(name) ? value !== '' : value === '') {
      report.malformed(
        source,
        FLAGS.includes(name) ? 'takes no value: remove it' : 'lacks its value: add it',
      );
    } else if (name === 'MAILNAME' && value.startsWith('/')) importMailname(report, source, readName(value));
    else importSetting(report, source, port);
  }
  report.problems(file, problems);
}

function importSetting(report: ImportReport, source: Source, port: string): undefined {
  const { setting: name, value } = source;
  switch (name) {
    case 'SMARTHOST':
      return report.smarthost(source, value, port);
    case 'PORT':
      return report.hub(source, '', 'goes with SMARTHOST');
    case 'AUTHPATH':
      return report.secret(source);
    case 'MAILNAME':
      return report.control(source, 'me');
    case 'MASQUERADE':
      return report.sender(
        source,
        value.includes('@') ? value : `@${value}`,
        'S',
        'for the envelope sender; -f wins',
      );
    case 'NULLCLIENT':
      return report.builtIn(source, 'all mail goes to the hub');
    default: {
      const note = NOTES[name];
      if (note === undefined) return report.unknown(source, 'dma');
      return report.none(source, note);
    }
  }
}

function importMailname(report: ImportReport, source: Source, name: string | undefined): undefined {
  if (name === undefined)
    report.malformed(source, 'names a file that cannot be read: write the name of the host');
  else report.control(source, 'me', name);
}
