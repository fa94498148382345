// Keeps the house rules that neither the compiler nor the linter can hold: what core may call, header comments and
// docstrings, manual pages that say what the programs do, sizes, and no machine's names. Scanners of text; each is first
// shown a violation, because a scanner that finds nothing anywhere looks just like a clean tree.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, it, test } from 'node:test';
import { HUB_LINKS, LINKS } from '../scripts/programs.mjs';
import { ROOT } from './support/client-vectors.ts';
import {
  controlFilesOf,
  controlFilesOfPage,
  environmentWithReferences,
  eventsOf,
  eventsOfPage,
  exitCodesOf,
  factsOfPage,
  longOptionStringsOf,
  longOptionsOf,
  optionLettersOf,
  queueExitCodesOf,
  readProgram,
  variablesOf,
} from './support/manual-parity.ts';
import { readSource } from './support/source-text.ts';
import {
  findBeyondEs5,
  findImportsOutOfCore,
  findMachineNames,
  findMissingHeader,
  findTooLong,
  findUndocumentedExports,
  findUnfinished,
  findUnusedErrors,
  LINES_MAX,
  type Rule,
} from './support/tidy-rules.ts';

// What builds, installs and runs leave behind: nothing of it is tracked.
const NOT_OURS = new Set(['.git', 'node_modules', 'dist', 'bin', 'var']);
const BYTES_MAX = 1_000_000;

/** Paths of all files of the project, relative to its root. */
function listFiles(folder = ROOT): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (folder === ROOT && NOT_OURS.has(entry.name)) return [];
    if (entry.isDirectory()) return listFiles(path);
    return !entry.isSocket() && !entry.name.endsWith('.log') ? [relative(ROOT, path)] : [];
  });
}

const FILES = listFiles();
const isTest = (path: string) => path.endsWith('.test.ts');
const SOURCES = FILES.filter((path) => path.startsWith('src/') && path.endsWith('.ts') && !isTest(path));
const CORE = SOURCES.filter((path) => path.startsWith('src/core/'));
const CODE = FILES.filter((path) => /^(?:src|test|bench|scripts)\/.*\.(?:ts|mjs)$/.test(path));
const PROGRAMS = SOURCES.filter((path) => path.startsWith('src/program/')).map((path) => path.slice(12, -3));
const QUEUE_PROGRAMS = [...Object.values(LINKS), ...Object.values(HUB_LINKS)];
const PAGES = FILES.filter((path) => /^man\/.*\.[1-8]$/.test(path));
/** Some commands of mini-qmail have pages of their own. */
const COMMAND_PAGES = PAGES.filter((page) => page.startsWith('man/mini-qmail-'));

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** Asserts that the rule finds nothing in any of the files, of which there must be some. */
function assertClean(paths: readonly string[], rule: Rule): void {
  assert.ok(paths.length > 0);
  assert.deepEqual(
    paths.flatMap((path) => rule(read(path)).map((finding) => `${path}:${finding}`)),
    [],
  );
}

describe('readSource()', () => {
  it('blanks comments, strings and regular expressions and keeps lines', () => {
    const { code, strings, regexes } = readSource(
      "a('it\\'s'); // b('x')\n/* c\n*/ d(/[/']\\//gu, `e$\u007bf('g')}h`);\ni = j / k / l;\n",
    );
    assert.match(
      code,
      /^a\('\s+'\);\s+\n\s+\n\s+d\(\/\s+\/gu, `\s\$\{f\('\s'\)\}\s`\);\ni = j \/ k \/ l;\n$/,
    );
    assert.deepEqual(
      strings.map(({ line, value }) => `${line} ${value}`),
      ["1 it\\'s", '3 e', '3 g', '3 h'],
    );
    assert.deepEqual(regexes, [{ line: 3, pattern: "[/']\\/", flags: 'gu' }]);
  });
});

const PLANTED: readonly { name: string; rule: Rule; bad: readonly string[]; good: readonly string[] }[] = [
  {
    name: 'findImportsOutOfCore()',
    rule: (text) => findImportsOutOfCore(text, 1),
    bad: [
      "import { a } from 'node:fs';",
      "import {\n  a,\n} from '../../host/a.ts';",
      "import './x/../../../a.ts';",
      "const a = await import('citty');",
    ],
    good: ["import { a } from '../bytes/a.ts';", "import type { A } from './a.ts';", "const from = 'a';"],
  },
  {
    name: 'findBeyondEs5()',
    rule: findBeyondEs5,
    bad: [
      'a.includes(b)',
      "''.padStart(3)",
      'a.at(-1)',
      'bytes.fill(0)',
      'bytes.slice(1)',
      'this.#bytes.indexOf(3)',
      'f(x).slice(1)',
      'function f(text: string, bytes: Uint8Array) { bytes.slice(1) }',
      'function f(a: string) { a.slice(1) }\nfunction g(a: Uint8Array) { a.slice(1) }',
      'Uint8Array.from(a)',
      'Array.of(1)',
      'Object.entries(a)',
      'Number.isInteger(a)',
      'Math.trunc(a)',
      'a.keys()',
      'new Map()',
      'async function f() {}',
      'function* f() {}',
      'const a: Promise<void> = b;',
      '/(?<=a)b/.test(c)',
      '/(?<name>a)/.test(c)',
      '/a/u.test(c)',
      ['`$', '{a.repeat(3)}`'].join(''),
    ],
    good: [
      "'abc'.indexOf(c)",
      'function f(text: string) { text.slice(1) }',
      'const words: readonly string[] = f();\nwords.indexOf(a)',
      'const text = textOf(bytes);\ntext.slice(1)',
      'SAFE_MARKS.indexOf(c)',
      'bytes.subarray(1)',
      'Object.keys(a)',
      '/a[b]/gi.test(c)',
      "f('a.includes(b)') // a.at(1), new Map()",
      'startsWith(a, b)',
      'const mapped: DomainMap = b;',
    ],
  },
  {
    name: 'findMissingHeader()',
    rule: findMissingHeader,
    bad: ['import a;\n// later\n', '\n// second line\n', '//\n'],
    good: ['// What it is for.\n', '/* What it is for. */\n'],
  },
  {
    name: 'findUndocumentedExports()',
    rule: findUndocumentedExports,
    bad: [
      '// head\n\nexport function f() {}',
      '/** Doc. */\n\nexport const A = 1;',
      '// No doc.\nexport interface A {}',
      'export async function f() {}',
      'export type A = 1;',
      "const a = '*/';\nexport class A {}",
    ],
    good: [
      '/** Doc. */\nexport function f() {}',
      "export { a } from './a.ts';",
      '/**\n * Doc.\n */\nexport class A {}',
    ],
  },
  {
    name: 'findUnfinished()',
    rule: findUnfinished,
    bad: [
      ['it', 'only('].join('.'),
      ['test', 'skip('].join('.'),
      `// ${['TO', 'DO'].join('')}: x`,
      ['FIX', 'ME'].join(''),
    ],
    good: ['{ skip: reason }', 'onlyOne()', 'mastodon'],
  },
  {
    name: 'findMachineNames()',
    rule: findMachineNames,
    bad: [
      ['', 'work', 'main'].join('/'),
      `see ${['shared', 'spec'].join('/')}`,
      ['https://registry', 'npmjs', 'org'].join('.'),
    ],
    good: ['docs/work/x', 'homework/', 'shared memory', './work/x'],
  },
  {
    name: 'findUnusedErrors()',
    rule: findUnusedErrors,
    bad: ['  new Error("x");', 'if (a) {\n  new SystemError(a, b, c);\n}'],
    good: ['throw new Error("x");', 'reject(\n  new Error("x"),\n);', '// new Error("x");'],
  },
  {
    name: 'findTooLong()',
    rule: findTooLong,
    bad: ['\n'.repeat(LINES_MAX + 1)],
    good: ['\n'.repeat(LINES_MAX)],
  },
];

for (const { name, rule, bad, good } of PLANTED) {
  test(`${name} finds what was planted, and nothing in clean text`, () => {
    for (const text of bad)
      assert.equal(rule(text).length > 0, true, `not found in ${JSON.stringify(text.slice(0, 80))}`);
    for (const text of good) assert.deepEqual(rule(text), [], text.slice(0, 80));
  });
}

describe('the sources', () => {
  it('in core import nothing outside core', () => {
    assert.ok(CORE.length > 0);
    const found = CORE.flatMap((path) =>
      findImportsOutOfCore(read(path), path.split('/').length - 3).map((finding) => `${path}:${finding}`),
    );
    assert.deepEqual(found, []);
  });

  it('in core call nothing that ES5 with typed arrays lacks', () => assertClean(CORE, findBeyondEs5));

  it('begin with a header comment', () => assertClean(SOURCES, findMissingHeader));

  it('have a docstring on every export', () => assertClean(SOURCES, findUndocumentedExports));

  it('throw the errors that they build', () => assertClean(CODE, findUnusedErrors));
});

describe('the tree', () => {
  it('has no unfinished work and no test left out', () => assertClean(CODE, findUnfinished));

  it('has no file of code or text beyond the limit', () => {
    assertClean(
      FILES.filter((path) => /\.(?:ts|mjs|md|\d)$/.test(path)),
      findTooLong,
    );
  });

  it('has no large file', () => {
    assert.deepEqual(
      FILES.filter((path) => statSync(join(ROOT, path)).size > BYTES_MAX),
      [],
    );
  });

  it('names no path or host of a machine', () => assertClean(FILES, findMachineNames));
});

function pageOf(program: string): string | undefined {
  return PAGES.find((path) => /^man\/(.*)\.[18]$/.exec(path)?.[1] === program);
}

/** Strict comparison of sets, with what is missing where. */
function assertSame<T>(inSources: Iterable<T>, inPage: Iterable<T>): void {
  assert.deepEqual([...new Set(inPage)].sort(), [...new Set(inSources)].sort());
}

describe('manual pages', () => {
  for (const name of [...PROGRAMS, ...Object.keys(LINKS)]) {
    it(`there is one for ${name}`, () => assert.notEqual(pageOf(name), undefined));
  }
});

describe('parity of manual pages and programs', () => {
  it('sees options, environment and exit codes in a page and in a source', () => {
    const facts = factsOfPage(
      '.Op Fl ab Ar x\n.It Fl i , v\n.Ev AAA , BBB ;\n.Sh EXIT STATUS\n.It 7\n.Sh FILES\n.It 9\n',
    );
    assert.deepEqual([...facts.options], ['ab', 'i', 'v']);
    assert.deepEqual([...facts.environment], ['AAA', 'BBB']);
    assert.deepEqual([...facts.exits], [7]);
    const source =
      "f(env['AAA'], 'ENOENT', { BBB: 'CCC' }); plain: 'xy'; return 111; exit: QUEUE_EXIT.network,";
    assert.deepEqual(variablesOf(source), ['AAA', 'BBB']);
    assert.deepEqual(optionLettersOf(source), ['x', 'y']);
    assert.deepEqual(exitCodesOf(source), [111]);
    assert.deepEqual(queueExitCodesOf(source), [56]);
    assert.deepEqual(controlFilesOf("readControlLine(this.home, 'me'); line('bouncehost')"), [
      'me',
      'bouncehost',
    ]);
    assert.deepEqual(controlFilesOfPage('.It Pa control/me\n'), ['me']);
    assert.deepEqual(eventsOf("this.#options.log.write('a.b-c', {});"), ['a.b-c']);
    assert.deepEqual(eventsOfPage('.Sh LOG\n.It Li a.b x=1\n.Sh SIGNALS\n.It Li c\n'), ['a.b']);
    assert.deepEqual(longOptionStringsOf("a === '--json'"), ['-json']);
    assert.deepEqual(longOptionsOf('{ home: homeArg, json: { type: 1 } }'), ['home', 'json']);
  });

  for (const name of PROGRAMS) {
    const path = pageOf(name);
    if (path === undefined) continue;
    const files = readProgram(join(ROOT, 'src/program', `${name}.ts`));
    const texts = [...files.values()];
    const facts = factsOfPage(read(path));

    it(`${path} and ${name} agree about the environment`, () => {
      const used = new Set(texts.flatMap(variablesOf));
      const documented = environmentWithReferences(join(ROOT, path));
      assert.deepEqual(
        [...used].filter((variable) => !documented.has(variable)),
        [],
        'used, not documented',
      );
      assert.deepEqual(
        [...facts.environment].filter((variable) => !used.has(variable)),
        [],
        'documented, not used',
      );
    });

    it(`${path} and ${name} agree about options`, () => {
      if (name === 'mini-qmail') {
        // The package adds two options.
        const commands = texts.filter((text) => text.includes("from 'citty'"));
        assertSame(
          [...commands.flatMap(longOptionsOf), 'help', 'version'].map((option) => `-${option}`),
          [path, ...COMMAND_PAGES].flatMap((page) => [...factsOfPage(read(page)).options]),
        );
        return;
      }
      // The file that the program runs, not those that it runs in the same process.
      const own =
        [...files].find(([, text]) => optionLettersOf(text).length > 0 && texts.indexOf(text) <= 3)?.[1] ??
        '';
      const known = new Set(optionLettersOf(own));
      const isLong = (option: string) => option.startsWith('-');
      assertSame(longOptionStringsOf(own === '' ? texts[1]! : own), [...facts.options].filter(isLong));
      const shown = [...facts.options].filter((option) => !isLong(option));
      assert.deepEqual(
        shown.map((option) => option.charAt(0)).filter((letter) => !known.has(letter)),
        [],
      );
      assert.deepEqual(
        [...known].filter((letter) => !shown.join('').includes(letter)),
        [],
      );
    });

    it(`${path} and ${name} agree about control files`, () => {
      const isHub = name === 'mini-qmail';
      const shown = [path, ...(isHub ? COMMAND_PAGES : [])].flatMap((page) => controlFilesOfPage(read(page)));
      const known = new Set(texts.flatMap(controlFilesOf));
      const mentioned = texts.join('\n');
      assert.deepEqual(
        shown.filter((file) => !known.has(file) && !mentioned.includes(`control/${file}`)),
        [],
      );
      // What another program does in the same process is on that program's page.
      assert.deepEqual(isHub ? [...known].filter((file) => !shown.includes(file)) : [], []);
    });

    it(`${path} and ${name} agree about exit codes`, () => {
      const codes = new Set(texts.flatMap(QUEUE_PROGRAMS.includes(name) ? queueExitCodesOf : exitCodesOf));
      assertSame([0, ...codes], [0, ...facts.exits]);
    });
  }

  it('man/mini-qmail-hub.8 has every event of the log', () => {
    const texts = [...readProgram(join(ROOT, 'src/program/mini-qmail.ts')).values()];
    // The demonstration's own is never printed; those of a delivery's end are put together from parts.
    const logged = texts.flatMap(eventsOf).filter((event) => event !== 'request');
    const ends = ['success', 'deferral', 'failure'].map((kind) => `delivery.${kind}`);
    assertSame([...logged, ...ends], eventsOfPage(read('man/mini-qmail-hub.8')));
  });

  it('a program and the program that it is a link to have the same exit codes', () => {
    for (const [link, program] of Object.entries(LINKS)) {
      assertSame(factsOfPage(read(pageOf(program)!)).exits, factsOfPage(read(pageOf(link)!)).exits);
    }
  });
});
