// Values of control files as the doctor looks at them: there or not, without the defaults of whoever reads them.

import { textOf } from '../core/bytes/bytes.ts';
import { parseControlLine, parseControlList, parseControlNumber } from '../core/format/control-file.ts';
import { readFileIfPresent } from '../host/control.ts';

/** The text of a file of one line, one character per byte; undefined if it is missing. @throws SystemError */
export function lineIn(home: string, name: string): string | undefined {
  const content = contentOf(home, name);
  return content && textOf(parseControlLine(content));
}

/** The entries of a list; undefined if it is missing. @throws SystemError */
export function entriesIn(home: string, name: string): Uint8Array[] | undefined {
  const content = contentOf(home, name);
  return content && parseControlList(content);
}

/** The number in a file; undefined if it is missing or says none. @throws SystemError */
export function numberIn(home: string, name: string): number | undefined {
  const content = contentOf(home, name);
  return content && parseControlNumber(content);
}

function contentOf(home: string, name: string): Uint8Array | undefined {
  return readFileIfPresent(`${home}/control/${name}`);
}
