// What becomes of nullmailer's control files. Source: nullmailer-send(8), nullmailer-inject(1), nullmailer-queue(8).

import { textOf } from '../core/bytes/bytes.ts';
import { parseControlLine } from '../core/format/control-file.ts';
import { parseNullmailerRemotes } from '../core/format/nullmailer-remotes.ts';
import type { ImportReport, Source } from './import-report.ts';

const SAME = ['me', 'defaultdomain', 'defaulthost', 'idhost'];
const NO_QUEUE = 'there is no queue on this host';
const OTHERS: { readonly [name: string]: string } = {
  adminaddr: 'on the hub, let mail to root and other system users go there',
  doublebounceto: 'belongs on the hub, as control/doublebounceto',
  helohost: 'belongs on the hub, as control/helohost',
  queuelifetime: 'belongs on the hub, as control/queuelifetime',
  pausetime: NO_QUEUE,
  maxpause: NO_QUEUE,
  sendtimeout: NO_QUEUE,
  bouncetime: NO_QUEUE,
};
const PUBLIC = ['user', 'source', 'x509certfile', 'x509cafile', 'x509crlfile'];

/** Names of the files that nullmailer reads. */
export const NULLMAILER_FILES: readonly string[] = [
  ...SAME,
  'remotes',
  'allmailfrom',
  ...Object.keys(OTHERS),
];

/** Reports one control file of nullmailer. @param name one of {@link NULLMAILER_FILES} */
export function importNullmailer(
  report: ImportReport,
  file: string,
  name: string,
  content: Uint8Array,
): undefined {
  if (name === 'remotes') return importRemotes(report, file, content);
  const source = {
    file,
    line: 1,
    setting: name,
    value: textOf(parseControlLine(content)).replace(/\r$/, ''),
  };
  if (source.value === '') return report.none(source, 'empty: nothing to do');
  if (SAME.includes(name)) return report.control(source, name);
  if (name === 'allmailfrom')
    return report.sender(source, source.value, 'S', 'for the envelope sender; -f wins');
  return report.none(source, OTHERS[name] ?? '');
}

function importRemotes(report: ImportReport, file: string, content: Uint8Array): undefined {
  const { remotes, problems } = parseNullmailerRemotes(content);
  for (const { line, host, protocol, options } of remotes) {
    const source = { file, line, setting: 'remote', value: host };
    const port = options.find(({ name }) => name === 'port')?.value ?? '';
    if (protocol === 'smtp') report.smarthost(source, host, port);
    else if (protocol === 'qmqp') importQmqp(report, source, port);
    else report.malformed(source, 'its protocol is neither smtp nor qmqp: correct it');
    for (const { name, value } of options) {
      const option: Source = { file, line, setting: `option ${name}`, value };
      if (value !== '' && name !== 'port' && !PUBLIC.includes(name)) report.secret(option);
      else if (name !== 'port') report.none(option, 'the hub connects to the relay, in its own way');
    }
  }
  report.problems(file, problems);
}

/** The one protocol that both speak. */
function importQmqp(report: ImportReport, source: Source, port: string): undefined {
  const { value: host } = source;
  const isName = !/^[0-9.]+$|:/.test(host);
  if (isName)
    return report.none(source, 'control/qmqpservers takes addresses: put that of this server there');
  const isPlain = (port === '' || port === '628') && !host.includes(':');
  const bracketed = host.includes(':') ? `[${host.replace(/^\[|\]$/g, '')}]` : host;
  const entry = isPlain ? host : `qmqp://${bracketed}${port === '' ? '' : `:${port}`}`;
  return report.server(source, entry, 'the same server, by the same protocol');
}
