// Installing and removing on a real file system below a temporary root, with programs of one line each. A disk that dies
// before, or in the middle of, each of its changes stands for every moment at which a run can be ended.

import assert from 'node:assert/strict';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, beforeEach, describe, it } from 'node:test';
import { bytesOf } from '../core/bytes/bytes.ts';
import { type BuiltPrograms, findBuiltPrograms } from './built-programs.ts';
import { type Disk, RootedDisk, unfinishedName } from './disk.ts';
import { carryOut } from './install.ts';
import { isChange, planInstall } from './install-plan.ts';
import { readManifest } from './manifest.ts';
import type { Role, RoleParts } from './roles.ts';
import { planUninstall, undo } from './uninstall-plan.ts';
import { wantedParts } from './wanted.ts';

const PREFIX = '/opt/mail';
const RECORD = `${PREFIX}/lib/mini-qmail/install.json`;
const folder = mkdtempSync(join(tmpdir(), 'install-'));
after(() => rmSync(folder, { recursive: true }));

// As many as it takes to have every kind of program.
const PARTS: RoleParts = {
  programs: ['sendmail', 'qmail-inject', 'qmail-qmqpc', 'qail', 'elq', 'mini-qmail'],
  links: { 'qmail-queue': 'qmail-qmqpc' },
  controls: ['me', 'idhost'],
  hasPages: true,
};

let root: string;
let disk: RootedDisk;
let built: BuiltPrograms;
let count = 0;

beforeEach(() => {
  root = join(folder, String(++count));
  disk = new RootedDisk(root);
  built = build('1111111111111111');
  mkdirSync(join(root, 'usr/sbin'), { recursive: true });
});

/** A build whose bundles have that hash. */
function build(hash: string): BuiltPrograms {
  const dist = join(root, '..', `built-${count}`, 'dist');
  mkdirSync(join(dist, '../man'), { recursive: true });
  for (const program of PARTS.programs) writeFileSync(join(dist, `../man/${program}.1`), '.Dd\n', {});
  for (const name of readOnly(dist)) rmSync(join(dist, name));
  mkdirSync(dist, { recursive: true });
  for (const program of PARTS.programs) {
    const start = program === 'mini-qmail' ? `${program}.mjs` : `${program}.cjs`;
    writeFileSync(join(dist, start), `run ${program}.${hash}.cjs with ${program}.${hash}.cache\n`);
    writeFileSync(join(dist, `${program}.${hash}.cjs`), `${program} ${hash}\n`);
  }
  writeFileSync(join(dist, `sendmail.${hash}.cache`), hash);
  return findBuiltPrograms(join(dist, 'mini-qmail.mjs'), '/usr/bin/node');
}

function readOnly(path: string): string[] {
  return lstatSync(path, { throwIfNoEntry: false }) === undefined ? [] : readdirSync(path);
}

interface Request {
  readonly force?: boolean;
  readonly me?: string;
  readonly on?: Disk;
}

function plan({ force = false, me = 'a.example', on = disk }: Request = {}) {
  const wanted = wantedParts(
    {
      prefix: PREFIX,
      parts: PARTS,
      controls: [
        { name: 'me', content: bytesOf(`${me}\n`), isAsked: true },
        { name: 'idhost', content: bytesOf('h.example\n'), isAsked: false },
      ],
      sendmailLinks: ['/usr/sbin/sendmail'],
      interpreter: { path: '/usr/bin/node' },
      withCaches: true,
    },
    built,
  );
  const manifest = readManifest(on, PREFIX);
  const roles: Role[] = ['client'];
  return planInstall(wanted, { disk: on, prefix: PREFIX, roles, manifest, force, ownerOf: () => undefined });
}

function install(request: Request = {}): string[] {
  const made = plan(request);
  const refused = made.steps
    .filter(({ verb }) => verb === 'refuse')
    .map(({ path, note }) => `${path} ${note}`);
  if (refused.length === 0) carryOut(made, request.on ?? disk, PREFIX);
  return refused;
}

function uninstall(force = false, on: Disk = disk): string[] {
  const manifest = readManifest(on, PREFIX);
  if (manifest === undefined) return [];
  const steps = planUninstall(manifest, on, PREFIX, force);
  undo(steps, on);
  return steps.filter(({ verb }) => verb === 'keep').map(({ path, note }) => `${path}: ${note}`);
}

/** Everything below the root: path, mode and content. */
function tree(path = ''): string[] {
  return readdirSync(root + (path || '/'))
    .sort()
    .flatMap((name) => {
      const own = `${path}/${name}`;
      const stat = lstatSync(root + own);
      const mode = (stat.mode & 0o7777).toString(8);
      if (stat.isSymbolicLink()) return [`${own} -> ${readlinkSync(root + own)}`];
      if (stat.isDirectory()) return [`${own}/ ${mode}`, ...tree(own)];
      return [`${own} ${mode} ${readFileSync(root + own, 'latin1')}`];
    });
}

function put(path: string, content: string): void {
  mkdirSync(dirname(root + path), { recursive: true });
  writeFileSync(root + path, content);
}

describe('installing', () => {
  it('makes folders and programs with 0755 and files with 0644 under any umask', () => {
    const before = process.umask(0o077);
    try {
      assert.deepEqual(install(), []);
    } finally {
      process.umask(before);
    }
    const made = tree().filter((line) => line.startsWith('/opt/'));
    for (const line of made) {
      const isOpen = /^\S+\/ 755$|^\S+\/bin\/\S+ 755 #!|^\S+ 644 | -> /.test(line);
      assert.ok(isOpen, line);
    }
    assert.ok(made.includes(`${PREFIX}/bin/qmail-queue -> qmail-qmqpc`));
    assert.ok(made.includes(`${PREFIX}/control/me 644 a.example\n`));
    assert.ok(made.includes(`${PREFIX}/man/man1/qail.1 644 .Dd\n`));
    const line = `#!/usr/bin/node ${PREFIX}/lib/mini-qmail/sendmail.cjs\n`;
    assert.ok(made.includes(`${PREFIX}/bin/sendmail 755 ${line}`));
    assert.equal(readlinkSync(`${root}/usr/sbin/sendmail`), `${PREFIX}/bin/sendmail`);
    assert.equal(made.filter((path) => path.includes('.mini-qmail-new')).length, 0);
  });

  it('has nothing to do the second time', () => {
    install();
    const before = tree();
    assert.deepEqual(plan().steps.filter(isChange), []);
    install();
    assert.deepEqual(tree(), before);
  });

  it('mends what was removed, and a mode that was changed', () => {
    install();
    const before = tree();
    rmSync(`${root}${PREFIX}/bin/qail`);
    chmodSync(`${root}${PREFIX}/bin/elq`, 0o600);
    assert.deepEqual(
      plan().steps.map(({ verb, path }) => `${verb} ${path}`),
      [`write ${PREFIX}/bin/qail`, `replace ${PREFIX}/bin/elq`],
    );
    install();
    assert.deepEqual(tree(), before);
  });

  it("refuses somebody else's file, link or folder, and changes nothing at all", () => {
    put(`${PREFIX}/bin/qmail-inject`, 'original');
    symlinkSync('exim4', `${root}/usr/sbin/sendmail`);
    mkdirSync(`${root}${PREFIX}/bin/elq`);
    put(`${PREFIX}/man`, 'no folder');
    const before = tree();
    const refused = install();
    assert.deepEqual(
      refused.map((line) => line.split(';')[0]),
      [
        `${PREFIX}/bin/qmail-inject is a file that is not mini-qmail's`,
        `${PREFIX}/bin/elq is a folder`,
        `${PREFIX}/man is not a folder`,
        "/usr/sbin/sendmail is a link to exim4 that is not mini-qmail's",
      ],
    );
    assert.deepEqual(tree(), before);
  });

  it('replaces them by force, and gives them back', () => {
    put(`${PREFIX}/bin/qmail-inject`, 'original');
    put(`${PREFIX}/control/me`, 'old.example\n');
    symlinkSync('exim4', `${root}/usr/sbin/sendmail`);
    const before = tree();
    assert.equal(install().length, 3);
    assert.deepEqual(install({ force: true }), []);
    assert.equal(readFileSync(`${root}${PREFIX}/control/me`, 'utf8'), 'a.example\n');
    assert.equal(readlinkSync(`${root}/usr/sbin/sendmail.before-mini-qmail`), 'exim4');
    assert.deepEqual(plan().steps.filter(isChange), []);
    assert.deepEqual(uninstall(), []);
    assert.deepEqual(tree(), before);
  });

  it('keeps a control file that nobody asked to change, and refuses to change one', () => {
    put(`${PREFIX}/control/idhost`, '  x\t\n');
    put(`${PREFIX}/control/me`, 'old.example \n');
    const before = tree();
    const [refusal] = install();
    assert.equal(
      refusal,
      `${PREFIX}/control/me holds old.example, asked for was a.example; --force replaces it`,
    );
    assert.deepEqual(tree(), before);
    const keeps = plan({ me: 'old.example' }).steps.filter(({ verb }) => verb === 'keep');
    assert.deepEqual(
      keeps.map(({ path, note }) => `${path} ${note}`),
      [`${PREFIX}/control/idhost it holds   x`],
    );
  });

  it('upgrades: replaces what has changed, and leaves bundles to programs that run until the next upgrade', () => {
    install();
    const old = `${root}${PREFIX}/lib/mini-qmail/sendmail.1111111111111111.cjs`;
    built = build('2222222222222222');
    install();
    assert.equal(readFileSync(old, 'utf8'), 'sendmail 1111111111111111\n');
    assert.match(readFileSync(`${root}${PREFIX}/lib/mini-qmail/sendmail.cjs`, 'utf8'), /2222/);
    assert.deepEqual(plan().steps.filter(isChange), []);
    built = build('3333333333333333');
    install();
    assert.equal(lstatSync(old, { throwIfNoEntry: false }), undefined);
    assert.deepEqual(uninstall(), []);
    assert.deepEqual(tree(), ['/usr/ 755', '/usr/sbin/ 755']);
  });

  it('replaces a file under another name, so that who has it open keeps what it was', () => {
    install();
    const path = `${root}${PREFIX}/lib/mini-qmail/sendmail.cjs`;
    const before = statSync(path).ino;
    built = build('2222222222222222');
    install();
    assert.notEqual(statSync(path).ino, before);
  });

  it('says what it cannot read in its record, and does nothing', () => {
    for (const text of ['', '{}', '[]', '{"format":1,"roles":["x"],"entries":[]}', '{"format":2}']) {
      put(RECORD, text);
      assert.throws(() => plan(), { name: 'SystemError', message: /^Cannot understand .*install\.json: / });
    }
    put(RECORD, '{"format":1,"roles":["client"],"entries":[{"path":"x","kind":"file","states":[]}]}');
    assert.throws(() => plan(), /its entries are damaged/);
  });
});

describe('removing', () => {
  it('keeps what was changed since and what others have put there, and the folders of both', () => {
    install();
    put(`${PREFIX}/control/me`, 'changed\n');
    put(`${PREFIX}/bin/qail`, 'changed');
    put(`${PREFIX}/queue/1`, 'mail');
    const kept = uninstall();
    assert.deepEqual(
      kept.sort(),
      [
        `${PREFIX}/bin/qail: it was changed since`,
        `${PREFIX}/bin: qail is in it`,
        `${PREFIX}/control/me: it was changed since`,
        `${PREFIX}/control: me is in it`,
        `${PREFIX}: bin and 2 more is in it`,
        '/opt: mail is in it',
      ].sort(),
    );
    assert.deepEqual(
      tree().filter((line) => !line.includes('/ ')),
      [`${PREFIX}/bin/qail 755 changed`, `${PREFIX}/control/me 644 changed\n`, `${PREFIX}/queue/1 644 mail`],
    );
  });

  it('removes changed programs by force, control files never', () => {
    install();
    put(`${PREFIX}/control/me`, 'changed\n');
    put(`${PREFIX}/bin/qail`, 'changed');
    uninstall(true);
    assert.deepEqual(
      tree().filter((line) => !line.includes('/ ')),
      [`${PREFIX}/control/me 644 changed\n`],
    );
  });

  it('leaves a file that its package has put back, and the older one beside it', () => {
    put('/usr/sbin/sendmail', 'postfix 1');
    install({ force: true });
    rmSync(`${root}/usr/sbin/sendmail`);
    put('/usr/sbin/sendmail', 'postfix 2');
    assert.match(uninstall().join(), /was changed since; what stood there before is .*before-mini-qmail/);
    assert.equal(readFileSync(`${root}/usr/sbin/sendmail`, 'utf8'), 'postfix 2');
    assert.equal(readFileSync(`${root}/usr/sbin/sendmail.before-mini-qmail`, 'utf8'), 'postfix 1');
  });
});

const CHANGES = ['makeFolder', 'writeFile', 'makeLink', 'keep', 'rename', 'remove', 'removeFolder'] as const;

/** A disk on which the change of that number, counted from 0, fails; a file may have been begun. */
function dyingDisk(whole: RootedDisk, last: number): { disk: Disk; isDead(): boolean } {
  let changes = 0;
  const dying = Object.create(whole) as Disk;
  for (const name of [
    'look',
    'isFolder',
    'list',
    'read',
    'freeBytes',
    'flushFolderOf',
    ...CHANGES,
  ] as const) {
    const isChanging = CHANGES.some((one) => one === name);
    const value = (...words: unknown[]) => {
      if (isChanging && changes++ >= last) {
        if (name === 'writeFile') writeFileSync(root + unfinishedName(String(words[0])), 'ha');
        throw new Error('the power is gone');
      }
      return (whole[name] as (...all: unknown[]) => unknown).apply(whole, words);
    };
    Object.defineProperty(dying, name, { value });
  }
  return { disk: dying, isDead: () => changes > last };
}

/** What was there before anything was installed. */
function prepare(): string[] {
  put('/usr/sbin/sendmail', 'postfix');
  put(`${PREFIX}/bin/qail`, 'original');
  put(`${PREFIX}/control/me`, 'old.example\n');
  return tree();
}

/** Lines of a tree but for empty folders that only a record could have named, which did not exist yet. */
function withoutEmptyLibrary(lines: readonly string[]): string[] {
  return lines.filter(
    (line) => !/^\/opt\/mail\/lib\/(?:mini-qmail\/)?(?:\.install\.json\S* |(?:\d| )*$)/.test(line),
  );
}

describe('a run that is ended at any moment', () => {
  it('can be repeated, and undone afterwards', () => {
    const before = prepare();
    install({ force: true });
    const whole = tree().filter((line) => !line.startsWith(RECORD));
    uninstall();
    assert.deepEqual(tree(), before);
    let at = 0;
    for (let isDead = true; isDead; at++) {
      const dying = dyingDisk(disk, at);
      try {
        install({ force: true, on: dying.disk });
      } catch (error) {
        assert.match(String(error), /the power is gone/);
      }
      isDead = dying.isDead();
      install({ force: true });
      assert.deepEqual(
        tree().filter((line) => !line.startsWith(RECORD)),
        whole,
        `ended at change ${at}`,
      );
      uninstall();
      assert.deepEqual(withoutEmptyLibrary(tree()), before, `ended at change ${at}`);
      rmSync(root, { recursive: true });
      prepare();
    }
    assert.ok(at > 30, `${at} changes`);
  });

  it('can be undone', () => {
    const before = prepare();
    for (let [at, isDead] = [0, true]; isDead; at++) {
      const dying = dyingDisk(disk, at);
      try {
        install({ force: true, on: dying.disk });
      } catch {
        // It is dead, as it should be.
      }
      isDead = dying.isDead();
      uninstall();
      assert.deepEqual(withoutEmptyLibrary(tree()), before, `ended at change ${at}`);
      rmSync(root, { recursive: true });
      prepare();
    }
  });

  it('while removing, can be gone on from', () => {
    const before = prepare();
    for (let [at, isDead] = [0, true]; isDead; at++) {
      install({ force: true });
      const dying = dyingDisk(disk, at);
      try {
        uninstall(false, dying.disk);
      } catch {
        // It is dead, as it should be.
      }
      isDead = dying.isDead();
      uninstall();
      assert.deepEqual(withoutEmptyLibrary(tree()), before, `ended at change ${at}`);
      rmSync(root, { recursive: true });
      prepare();
    }
  });

  it('while upgrading, has programs that can be run throughout', () => {
    prepare();
    install({ force: true });
    const library = `${root}${PREFIX}/lib/mini-qmail`;
    const [first, second] = ['1111111111111111', '2222222222222222'];
    built = build(second);
    for (let [at, isDead] = [0, true]; isDead; at++) {
      const dying = dyingDisk(disk, at);
      try {
        install({ on: dying.disk });
      } catch {
        // It is dead, as it should be.
      }
      isDead = dying.isDead();
      for (const program of ['sendmail', 'qmail-inject', 'qail']) {
        const [hash] = /\d{16}/.exec(readFileSync(`${library}/${program}.cjs`, 'utf8'))!;
        assert.ok(hash === first || hash === second);
        assert.equal(readFileSync(`${library}/${program}.${hash}.cjs`, 'utf8'), `${program} ${hash}\n`);
      }
    }
  });
});
