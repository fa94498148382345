// What becomes of the control folder of another qmail: a client's files are taken as they are, the others are the hub's.
// Source: qmail-control(5).

import { READ_BY } from '../client/showctl-items.ts';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { parseControlLine, parseControlList } from '../core/format/control-file.ts';
import { parseServerEntries } from '../core/format/server-list.ts';
import type { ImportReport } from './import-report.ts';

const NAMES = ['me', 'defaultdomain', 'defaulthost', 'plusdomain', 'idhost'];

/** Reports one control file of qmail. */
export function importQmail(
  report: ImportReport,
  file: string,
  name: string,
  content: Uint8Array,
): undefined {
  const source = { file, line: 1, setting: name, value: textOf(parseControlLine(content)) };
  if (name === 'qmqpservers') return importServers(report, file, content);
  if (NAMES.includes(name)) {
    const note = name === 'idhost' ? 'must be the own name of each host' : '';
    return report.control(source, name, source.value, note);
  }
  const readers = READ_BY[name];
  const unshown = { ...source, line: 0, value: '' };
  if (readers === undefined) report.none(unshown, 'unknown to qmail');
  else if (readers.includes('mini-qmail hub'))
    report.hub(unshown, `control/${name}`, 'copy it if this host is the hub');
  else report.hub(unshown, `control/${name}`, `read by ${readers.join(', ')}: copy it where that runs`);
}

function importServers(report: ImportReport, file: string, content: Uint8Array): undefined {
  textOf(content)
    .split('\n')
    .forEach((text, index) => {
      for (const entry of parseControlList(bytesOf(text))) {
        const source = { file, line: index + 1, setting: 'qmqpservers', value: textOf(entry) };
        if (parseServerEntries([entry]).length > 0) report.server(source, source.value, '');
        else report.malformed(source, 'is no address of a server: write an address');
      }
    });
}
