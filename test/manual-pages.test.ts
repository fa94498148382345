// Keeps the manual pages fit to be read and true: they render without a warning, have their sections in the usual order, refer
// to pages that exist, and the pages of formats say what the sources do: every control file in qmail-control(5), every
// limit in qmqp(5). What a page says of its own program is compared in tidy.test.ts.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { CONTROL_ITEMS, MORE_RCPTHOSTS, MORE_RCPTHOSTS_CDB, READ_BY } from '../src/client/showctl-items.ts';
import { outcomeOfQueueResult, type QueueResult } from '../src/core/policy/outcome.ts';
import { ROOT } from './support/client-vectors.ts';
import {
  controlFilesOf,
  factsOfPage,
  readProgram,
  referencesOf,
  sectionsOf,
} from './support/manual-parity.ts';
import {
  constantOf,
  controlRowsOf,
  limitsOfPage,
  namedControlFilesOf,
  numberDefaultsOf,
  queueOutcomesOf,
} from './support/manual-tables.ts';
import { missingPeers } from './support/peers.ts';

const FOLDER = join(ROOT, 'man');
const PAGES = readdirSync(FOLDER).sort();
const PROGRAM_PAGES = PAGES.filter((page) => /\.[18]$/.test(page));

/** Pages of other people that ours may refer to. */
const FOREIGN = ['env 1', 'flock 1'];

/** Sections whose place is agreed upon; others may stand anywhere between them. */
const ORDER = [
  'NAME',
  'SYNOPSIS',
  'DESCRIPTION',
  'ENVIRONMENT',
  'FILES',
  'EXIT STATUS',
  'EXAMPLES',
  'DIAGNOSTICS',
  'COMPATIBILITY',
  'SEE ALSO',
  'STANDARDS',
  'BUGS',
];

function read(page: string): string {
  return readFileSync(join(FOLDER, page), 'utf8');
}

function readSource(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** What man-db and mandoc warn of; the page itself is thrown away. */
const CHECKERS = [
  { name: 'man', script: 'man --warnings -E UTF-8 -l -Tutf8 -Z "$1" 2>&1 >/dev/null' },
  // On standard error it speaks of its own index.
  { name: 'mandoc', script: 'mandoc -Tlint -W warning "$1" 2>/dev/null' },
];

/** What a shell script prints about a page. */
function outputOf(script: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', ['-c', script, 'sh', path], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, MANWIDTH: '80', LC_ALL: 'C.UTF-8' },
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
    child.on('error', reject);
    child.on('close', () => resolve(text));
  });
}

describe('manual pages rendered', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'manual-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  for (const { name, script } of CHECKERS) {
    const skip = missingPeers(name);

    it(`by ${name}, which warns about a macro that does not exist`, { skip }, async () => {
      const path = join(folder, 'x.8');
      writeFileSync(path, '.Dd November 22, 2026\n.Dt X 8\n.Os\n.Sh NAME\n.Nm x\n.Nd y\n.Qz wrong\n');
      assert.notEqual(await outputOf(script, path), '');
    });

    it(`by ${name} give no warning`, { skip }, async () => {
      assert.ok(PAGES.length > 0);
      const warnings = await Promise.all(PAGES.map((page) => outputOf(script, join(FOLDER, page))));
      assert.deepEqual(
        warnings.filter((text) => text !== ''),
        [],
      );
    });
  }
});

describe('sections of manual pages', () => {
  for (const page of PAGES) {
    it(`${page} has what a reader looks for, in the usual order`, () => {
      const text = read(page);
      const sections = sectionsOf(text);
      const wanted = ['NAME', 'DESCRIPTION', 'SEE ALSO'];
      if (PROGRAM_PAGES.includes(page)) {
        wanted.push('SYNOPSIS', 'EXIT STATUS', 'EXAMPLES');
        if (factsOfPage(text).environment.size > 0) wanted.push('ENVIRONMENT');
        if (/^\.It Fl /m.test(text)) wanted.push('OPTIONS');
        if (/\bcontrol\/\w/.test(text)) wanted.push('FILES');
      }
      if (text.includes('Differs:')) wanted.push('COMPATIBILITY');
      assert.deepEqual(
        wanted.filter((section) => !sections.includes(section)),
        [],
        'missing',
      );
      if (PROGRAM_PAGES.includes(page)) {
        const limits = sections.filter((section) => section === 'COMPATIBILITY' || section === 'BUGS');
        assert.notDeepEqual(limits, [], 'neither bugs nor differences from the original');
      }
      const known = sections.filter((section) => ORDER.includes(section));
      assert.deepEqual(
        known,
        ORDER.filter((section) => known.includes(section)),
        'order',
      );
    });
  }

  it('a page says under its own name what it is about', () => {
    const strangers = PAGES.filter((page) => {
      const name = page.slice(0, -2);
      const head = /^\.Sh NAME\n([\s\S]*?)^\.Nd \S/m.exec(read(page))?.[1] ?? '';
      return !head.split('\n').some((line) => line.replace(/ ,$/, '') === `.Nm ${name}`);
    });
    assert.deepEqual(strangers, []);
  });

  it('refer to pages that exist', () => {
    const references = PAGES.flatMap((page) => referencesOf(read(page)));
    assert.ok(references.length > PAGES.length);
    const unknown = references.filter(
      (reference) => !existsSync(join(FOLDER, reference.replace(' ', '.'))) && !FOREIGN.includes(reference),
    );
    assert.deepEqual(unknown, []);
  });
});

describe('qmail-control.5', () => {
  const rows = controlRowsOf(read('qmail-control.5'));
  const programs = readdirSync(join(ROOT, 'src/program')).map((file) => file.slice(0, -3));
  const sources = new Map(
    programs.map((name) => [name, readProgram(join(ROOT, `src/program/${name}.ts`))] as const),
  );

  it('is read as a table', () => {
    const table = controlRowsOf(
      '.It Pa a Ta line Ta me Ta one ,\n.It Ta Ta Ta two , Pq three , four\n.It Ta Ta 7 Ta five\n',
    );
    assert.deepEqual(table, [
      { file: 'a', format: 'line', fallback: 'me', readers: ['one', 'two'], foreign: ['three', 'four'] },
      { file: 'a', format: 'line', fallback: '7', readers: ['five'], foreign: [] },
    ]);
  });

  it('has its files in the order of the alphabet', () => {
    const files = rows.map(({ file }) => file);
    assert.deepEqual(files, [...files].sort());
  });

  it('has a row for each file that a source names', () => {
    const files = [...sources.values()].flatMap((texts) => [...texts.values()].flatMap(namedControlFilesOf));
    const shown = rows.map(({ file }) => file);
    assert.ok(files.length > 0);
    assert.deepEqual(
      files.filter((file) => !shown.includes(file) && !file.endsWith('.tmp')),
      [],
    );
  });

  it('names for each file programs that read it', () => {
    for (const { file, readers } of rows) {
      for (const reader of readers) {
        const texts = [...(sources.get(reader)?.values() ?? [])];
        const reads = texts.some(
          (text) => controlFilesOf(text).includes(file) || text.includes(`control/${file}`),
        );
        assert.ok(reads, `${reader} does not read control/${file}: put it in parentheses or take it out`);
      }
    }
  });

  it('names for each file programs whose pages speak of it', () => {
    for (const { file, readers } of rows) {
      for (const reader of readers.filter((name) => name !== 'qmail-showctl')) {
        const page = PROGRAM_PAGES.find((name) => name.slice(0, -2) === reader);
        assert.ok(page !== undefined && read(page).includes(`control/${file}`), `${reader}: ${file}`);
      }
    }
  });

  it('puts in parentheses only programs that are not ours', () => {
    const foreign = rows.flatMap((row) => row.foreign);
    assert.deepEqual(
      foreign.filter((name) => programs.includes(name)),
      [],
      'programs of ours: take them out of the parentheses',
    );
  });

  it('has a row for each file that a source reads, with a program that the source is part of', () => {
    for (const [program, files] of sources) {
      for (const [path, text] of files) {
        if (path.endsWith('showctl-items.ts')) continue;
        for (const file of controlFilesOf(text)) {
          const readers = rows.filter((row) => row.file === file).flatMap((row) => row.readers);
          const isNamed = readers.some((reader) => sources.get(reader)?.has(path));
          assert.ok(isNamed, `${program} reads control/${file} in ${path}: no row says so`);
        }
      }
    }
  });

  it('has the default of each number that a source reads', () => {
    let count = 0;
    for (const files of sources.values()) {
      for (const [path, text] of files) {
        for (const [file, value] of numberDefaultsOf(text, [...files.values()])) {
          const fallbacks = rows
            .filter((row) => row.file === file && row.readers.some((name) => sources.get(name)?.has(path)))
            .map((row) => row.fallback);
          // A program that puts another default in the place of a source's own has another row.
          assert.ok(
            fallbacks.includes(String(value)),
            `control/${file} in ${path}: ${value}, not ${fallbacks}`,
          );
          count++;
        }
      }
    }
    assert.ok(count > 0);
  });

  it('says the same as qmail-showctl of who reads a file', () => {
    for (const [file, names] of Object.entries(READ_BY)) {
      const shown = rows
        .filter((row) => row.file === file)
        .flatMap((row) => [...row.readers, ...row.foreign]);
      const known = names.map((name) => (name === 'mini-qmail hub' ? 'mini-qmail' : name));
      assert.deepEqual(new Set(shown.filter((name) => name !== 'qmail-showctl')), new Set(known), file);
    }
  });

  it('says the same as qmail-showctl of formats and defaults', () => {
    const known = [...CONTROL_ITEMS.map(({ file }) => file), MORE_RCPTHOSTS, MORE_RCPTHOSTS_CDB];
    const missing = known.filter((file) => !rows.some((row) => row.file === file));
    assert.deepEqual(missing, []);
    for (const item of CONTROL_ITEMS) {
      const row = rows.find(({ file }) => file === item.file)!;
      assert.equal(row.format, item.kind, item.file);
      // Lists have a sentence there, and so has the name of the host.
      if (item.kind === 'list' || item.file === 'me') continue;
      const fallback = item.kind === 'line' && item.usesMe ? 'me' : String(item.fallback);
      assert.equal(row.fallback, fallback, item.file);
    }
  });
});

describe('envelopes.5', () => {
  it('has what each end of a queue program means', () => {
    const shown = queueOutcomesOf(read('envelopes.5'));
    const expected = (exit: QueueResult['exit']) => {
      const { letter, text } = outcomeOfQueueResult({ exit, writeFailed: false, pid: 1 });
      return `${letter} ${text}`.trimEnd();
    };
    assert.equal(shown('killed'), expected('signal'));
    for (let exit = 0; exit < 256; exit++) assert.equal(shown(exit), expected(exit), `exit code ${exit}`);
  });
});

describe('qmqp.5', () => {
  it('has the limits of the sources, and no others', () => {
    const session = readSource('src/core/protocol/qmqp/server-session.ts');
    const reply = readSource('src/core/protocol/qmqp/client-session.ts');
    const client = readSource('src/client/qmqp-conversation.ts') + readSource('src/client/connect-race.ts');
    const server = readSource('src/client/run-qmqpd.ts');
    const hub = readSource('src/hub/hub.ts');
    const connection = readSource('src/hub/qmqp-connection.ts');
    const seconds = (text: string, name: string) => `${constantOf(text, name) / 1000} seconds`;
    const sessionSeconds = seconds(session, 'QMQP_SESSION_MS');
    const addressBytes = `${constantOf(session, 'ADDRESS_LENGTH_REFUSED') - 1} bytes`;
    assert.deepEqual(limitsOfPage(read('qmqp.5')), {
      'qmail-qmqpc: a connection attempt': seconds(client, 'CONNECT_MS'),
      'qmail-qmqpc: one write': seconds(client, 'WRITE_MS'),
      'qmail-qmqpc: one read': seconds(client, 'READ_MS'),
      'qmail-qmqpc: the answer': `${constantOf(reply, 'REPLY_LENGTH_MAX')} bytes`,
      'qmail-qmqpd: the session': sessionSeconds,
      'qmail-qmqpd: the first length': `${constantOf(session, 'OUTER_LENGTH_BYTES_MAX')} bytes`,
      'qmail-qmqpd: a length': `${constantOf(session, 'LENGTH_STEP_MAX') * 10 + 9}`,
      'qmail-qmqpd: an address': addressBytes,
      'qmail-qmqpd: all addresses': `${constantOf(server, 'ADDRESS_BYTES_MAX')} bytes`,
      'mini-qmail: the session': sessionSeconds,
      'mini-qmail: silence': seconds(hub, 'IDLE_MS'),
      'mini-qmail: the message': `${constantOf(readSource('src/hub/message-size.ts'), 'MESSAGE_SIZE_MAX')} bytes`,
      'mini-qmail: an address': addressBytes,
      'mini-qmail: all addresses': `${constantOf(hub, 'ADDRESS_BYTES_MAX')} bytes`,
      'mini-qmail: recipients': `${constantOf(hub, 'RECIPIENT_COUNT_MAX')}`,
      'mini-qmail: connections': `${constantOf(hub, 'CONNECTION_COUNT_MAX')}`,
      'mini-qmail: compressed requests at a time': `${constantOf(connection, 'UNPACK_COUNT_MAX')}`,
    });
  });

  it('compares with constants as they are written', () => {
    const text = 'const A = 1_000;\n/** x */\nexport const B = 100 << 20;\n';
    assert.equal(constantOf(text, 'A'), 1000);
    assert.equal(constantOf(text, 'B'), 104_857_600);
    assert.throws(() => constantOf(text, 'C'), /no constant C/);
  });
});
