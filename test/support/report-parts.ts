// Reads notices as strictly as any reader might: a report must have exactly its three parts, fields one to a line, and its
// text must be what the published format of qmail's bounces says, so that whatever was put into it is still where it belongs.
// Source: RFC 2046 section 5.1; RFC 3464 section 2; cr.yp.to/proto/qsbmf.txt.

import assert from 'node:assert/strict';

/** A message or part; one character per byte. */
export interface Part {
  /** Name in lower case, and value with its folds. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** A report's header and parts. */
export interface Report {
  readonly header: Part['fields'];
  readonly text: Part;
  readonly status: Part;
  readonly original: Part;
}

/** Splits a message at its first blank line. Any of CR LF, LF and CR ends a line of the header, as on the way through SMTP. */
export function readPart(message: string): Part {
  const end = message.startsWith('\n') ? 0 : message.indexOf('\n\n') + 1;
  const header = end === 0 && !message.startsWith('\n') ? message : message.slice(0, end);
  const fields: [string, string][] = [];
  for (const line of header.split(/\r\n|\r|\n/)) {
    const last = fields.at(-1);
    if (line === '') continue;
    if (/^[ \t]/.test(line) && last !== undefined) last[1] += line;
    else {
      const field = /^([!-9;-~]+): ?(.*)$/s.exec(line);
      assert.ok(field, `a field: ${JSON.stringify(line)}`);
      fields.push([field[1]!.toLowerCase(), field[2]!]);
    }
  }
  return { fields, body: header === message ? '' : message.slice(end + 1) };
}

/** The field's only value. */
export function oneValue(fields: Part['fields'], name: string): string | undefined {
  const found = fields.filter(([one]) => one === name);
  assert.ok(found.length <= 1, `${name} once`);
  return found[0]?.[1];
}

/** Reads a report. @throws AssertionError if it is none */
export function readReportParts(message: string): Report {
  const { fields, body } = readPart(message);
  const type = oneValue(fields, 'content-type') ?? '';
  const boundary = /^multipart\/report; report-type=(?:global-)?delivery-status;\tboundary="([^"]+)"$/.exec(
    type,
  )?.[1];
  assert.ok(boundary, type);
  const pieces = `\n${body}`.split(/\r\n|\r|\n/).reduce<string[][]>(
    (sum, line) => {
      if (line === `--${boundary}` || line === `--${boundary}--`) sum.push([]);
      else sum.at(-1)!.push(line);
      return sum;
    },
    [[]],
  );
  assert.equal(pieces.length, 5, 'three parts, with nothing before and behind');
  assert.deepEqual([pieces[0], pieces[4]], [[''], ['']]);
  const [text, status, original] = `\n${body}`.split(`\n--${boundary}`).slice(1);
  const part = (piece: string | undefined) => readPart((piece ?? '').slice(1));
  return { header: fields, text: part(text), status: part(status), original: part(original) };
}

/** The groups of a part for programs: of the message, then of each recipient. */
export function readGroups(status: string): Part['fields'][] {
  return status
    .split('\n\n')
    .filter((group) => group.trim() !== '')
    .map((group) => readPart(`${group}\n`).fields);
}

/** What qmail would have sent: a report's first and third part in one. */
export function asQmailNotice({ header, text, original }: Report): string {
  const fields = ['date', 'from', 'to', 'subject'] as const;
  const names = { date: 'Date', from: 'From', to: 'To', subject: 'Subject' };
  assert.deepEqual(
    header.slice(0, 4).map(([name]) => name),
    fields,
  );
  const head = fields.map((name) => `${names[name]}: ${oneValue(header, name)}\n`).join('');
  return `${head}\n${text.body}${original.body}`;
}

/** Recipients and reports of a text in qmail's format. @throws AssertionError if it is not in that format */
export function readQsbmf(text: string): { readonly recipient: string; readonly report: string }[] {
  assert.ok(text.startsWith('Hi. This is the '), text.slice(0, 60));
  const found: { recipient: string; report: string }[] = [];
  for (const paragraph of text.split(/\n\n+/).slice(1)) {
    if (paragraph.startsWith('-')) return found;
    const recipient = /^<(.*)>:\n?(.*)$/s.exec(paragraph);
    assert.ok(recipient, `a paragraph about a recipient: ${JSON.stringify(paragraph)}`);
    const [first = ''] = paragraph.split('\n');
    found.push({ recipient: first.slice(1, -2), report: paragraph.slice(first.length + 1) });
  }
  assert.fail('no paragraph ends the list');
}
