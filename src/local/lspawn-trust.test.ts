import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { findUntrusted } from './lspawn-trust.ts';

const isRoot = process.getuid?.() === 0;

test('what only root can change is trusted, programs where they really are', (t) => {
  const home = realpathSync(mkdtempSync(join(tmpdir(), 'trust-')));
  t.after(() => rmSync(home, { recursive: true }));
  mkdirSync(join(home, 'elsewhere'), { mode: 0o755 });
  writeFileSync(join(home, 'elsewhere/program'), '', { mode: 0o755 });
  mkdirSync(join(home, 'bin'), { mode: 0o755 });
  symlinkSync('../elsewhere/program', join(home, 'bin/program'));
  const find = () => findUntrusted(home, [join(home, 'bin/program')]);
  assert.equal(find(), isRoot ? undefined : home);
  chmodSync(join(home, 'elsewhere'), 0o777);
  assert.equal(find(), isRoot ? join(home, 'elsewhere') : home);
  chmodSync(join(home, 'bin'), 0o777);
  assert.equal(findUntrusted(home, [join(home, 'bin/none')]), isRoot ? join(home, 'bin') : home);
});
