// Rule files by chance, for tcprules: lines that are right, nearly right and wrong, with many addresses that differ by little.

import type { Chance } from './fuzz.ts';

const ADDRESS_PIECES =
  '. . . - 0 1 2 10 007 25 255 256 300 99999999999999999999999 1.2.3. 10. 192.168. = =. @ joe@ =host.example .example a-b x [ ] # \t é'.split(
    ' ',
  );
const NAMES = ['A', 'RELAYCLIENT', 'DATABYTES', 'A B', '', ',A', 'é', '"'];
const VALUES = ['', 'x', '@fix.me', '1000', ',', '=', 'a\0b', ' ', 'deny'];
const ODD_LINES = [
  '',
  '#x:deny',
  ' ',
  'no colon',
  ':',
  ':den',
  ':allow,',
  ':allow,A',
  ':deny x',
  '1.2.3.4:deny\r',
  '::1:deny',
];

/** An address for look-ups and rules, out of so few that they meet. */
export function randomIpv4(chance: Chance): string {
  return [chance.of([1, 10, 127]), chance.below(3), chance.below(4), chance.below(256)].join('.');
}

/** A host name, out of so few that they meet. */
export function randomHost(chance: Chance): string {
  const labels = ['a', 'mx', 'lab', 'example', 'org', ''];
  return Array.from({ length: chance.below(5) }, () => chance.of(labels)).join('.');
}

function randomAddress(chance: Chance): string {
  const ip = randomIpv4(chance);
  const parts = ip.split('.');
  const prefix = `${parts.slice(0, chance.below(4)).join('.')}.`;
  const odd = () => Array.from({ length: chance.below(6) }, () => chance.of(ADDRESS_PIECES)).join('');
  return chance.of([
    () => ip,
    () => prefix,
    () => `=${randomHost(chance)}`,
    () => `=.${randomHost(chance)}`,
    () => `${chance.of(['joe', '', 'Ann'])}@${ip}`,
    () => `joe@=${randomHost(chance)}`,
    () => `${parts.slice(0, 3).join('.')}.${chance.below(256)}-${chance.below(300)}`,
    () => `${parts[0]}.${chance.below(3)}-${chance.below(5)}.`,
    () => chance.of(['', '=', ' 1.2.3.4', '1.2.3.']),
    odd,
  ])();
}

function randomVariables(chance: Chance): string {
  return Array.from({ length: chance.below(3) }, () => {
    const quote = chance.of(['"', '/', 'x', ',', '"']);
    return `,${chance.of(NAMES)}=${quote}${chance.of(VALUES)}${quote}`;
  }).join('');
}

/**
 * A rule file as text with one character per byte.
 * @param wrongIn one line of so many is wrong or left out, about; 0 for none
 */
export function randomRules(chance: Chance, lines: number, wrongIn = 0): string {
  const text = Array.from({ length: lines }, () => {
    if (wrongIn > 0 && chance.below(wrongIn) === 0) return chance.of(ODD_LINES);
    const blanks = chance.of(['', '', '', ' ', '\t ']);
    return `${randomAddress(chance)}:${chance.of(['allow', 'deny'])}${randomVariables(chance)}${blanks}`;
  }).join('\n');
  return chance.of([text, `${text}\n`]);
}
