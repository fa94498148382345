// The configuration files of ssmtp and dma: a name and a value per line, comments from a number sign to the end of the line.
// ssmtp wants an equals sign and does not care for the case of names; dma wants a blank and has names without values.
// Source: ssmtp.conf(5), dma(8), and what both programs do with odd lines.

import { findMark, type ParsedConfig, splitConfigLines, trimText } from './config-lines.ts';

/** Reads ssmtp.conf; names are in lower case. */
export function parseSsmtpConfig(content: Uint8Array): ParsedConfig {
  return parseLines(content, (text) => {
    const equals = findMark(text, '=');
    const name = trimText(text.substring(0, equals)).toLowerCase();
    if (equals === text.length || name === '')
      return 'is no NAME=VALUE: ssmtp passes over it; correct or remove it';
    return { name, value: trimText(text.substring(equals + 1)) };
  });
}

/** Reads dma.conf; a name without a value has the empty one. */
export function parseDmaConfig(content: Uint8Array): ParsedConfig {
  return parseLines(content, (text) => {
    const blank = findMark(text, ' \t');
    return { name: text.substring(0, blank), value: trimText(text.substring(blank)) };
  });
}

function parseLines(
  content: Uint8Array,
  parse: (text: string) => { readonly name: string; readonly value: string } | string,
): ParsedConfig {
  const { lines, problems } = splitConfigLines(content);
  const settings = [];
  for (const { line, text } of lines) {
    const parsed = parse(trimText(text.substring(0, findMark(text, '#'))));
    if (typeof parsed === 'string') problems.push({ line, text: parsed });
    else settings.push({ line, ...parsed });
  }
  return { settings, problems };
}
