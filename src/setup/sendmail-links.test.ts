// Whose /usr/sbin/sendmail is, with a dpkg-query of the test's own in front of the machine's.

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { packageAdvice } from './sendmail-links.ts';

const folder = mkdtempSync(join(tmpdir(), 'sendmail-links-'));
const { PATH } = process.env;
before(() => {
  process.env['PATH'] = `${folder}:/usr/bin:/bin`;
});
after(() => {
  process.env['PATH'] = PATH;
  rmSync(folder, { recursive: true });
});

function answer(text: string, exit = 0): void {
  writeFileSync(join(folder, 'dpkg-query'), `#!/bin/sh\nprintf '${text}'\nexit ${exit}\n`);
  chmodSync(join(folder, 'dpkg-query'), 0o755);
}

test('a file of a package is named with its package and with what keeps it away', () => {
  answer('postfix: /usr/sbin/sendmail\\n');
  assert.equal(
    packageAdvice('/usr/sbin/sendmail'),
    'it belongs to the package postfix, whose next upgrade would put it back: remove that package, or run dpkg-divert --local --rename --add /usr/sbin/sendmail',
  );
});

test('a diversion is no owner', () => {
  answer('diversion by dash from: /bin/sh\\ndiversion by dash to: /bin/sh.distrib\\ndash: /bin/sh\\n');
  assert.match(packageAdvice('/bin/sh') ?? '', /^it belongs to the package dash, /);
  answer('local diversion from: /usr/sbin/sendmail\\nlocal diversion to: /usr/sbin/sendmail.distrib\\n');
  assert.equal(packageAdvice('/usr/sbin/sendmail'), undefined);
});

test("a file of nobody's, or a system without dpkg, gives no advice", () => {
  answer('', 1);
  assert.equal(packageAdvice('/usr/sbin/sendmail'), undefined);
  process.env['PATH'] = folder;
  rmSync(join(folder, 'dpkg-query'));
  assert.equal(packageAdvice('/usr/sbin/sendmail'), undefined);
});
