// How long does a whole `sendmail` process take, from start to exit with the message handed over, against an empty node
// process? The hub at the other end is ours; the message comes from a file, as a cron job's would from a pipe.

import { spawnSync } from 'node:child_process';
import { closeSync, copyFileSync, openSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../test/support/client-vectors.ts';
import { HubProcess, makeHome, removeHome } from '../test/support/hub-process.ts';
import { findPeer } from '../test/support/peers.ts';
import { printRatio, printSpreads, takeTurns } from './measure.ts';

const ROUNDS = 60;
const MESSAGE = 'To: sink@hub.example\nSubject: nightly report\n\nAll is well.\n';

const home = makeHome({ concurrencylocal: '0\n' });
const hub = await HubProcess.start(home, join(home, 'log'));
writeFileSync(join(home, 'control/qmqpservers'), `qmqp://127.0.0.1:${hub.port}\n`);
writeFileSync(join(home, 'empty.cjs'), '');
writeFileSync(join(home, 'message'), MESSAGE);

/** A copy of sendmail's start file and bundle that has no code cache beside it. */
function copyWithoutCache(): string {
  const start = join(ROOT, 'dist/sendmail.cjs');
  const bundle = /sendmail\.[0-9a-f]{16}\.cjs/.exec(readFileSync(start, 'utf8'))![0];
  copyFileSync(join(ROOT, 'dist', bundle), join(home, bundle));
  copyFileSync(start, join(home, 'sendmail.cjs'));
  return join(home, 'sendmail.cjs');
}

/** Milliseconds from before the start to after the end. */
function time(command: string, args: readonly string[], env: NodeJS.ProcessEnv): number {
  const stdin = openSync(join(home, 'message'), 'r');
  const start = performance.now();
  const { status, stderr } = spawnSync(command, args, {
    env,
    stdio: [stdin, 'pipe', 'pipe'],
    encoding: 'utf8',
  });
  const took = performance.now() - start;
  closeSync(stdin);
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr}`);
  return took;
}

const uncached = copyWithoutCache();
const prefix = join(home, 'prefix');
const names = ['--me', 'hub.example', '--idhost', 'host.example'];
const install = ['install', '--role', 'client', '--prefix', prefix, ...names];
const { status: installStatus, stderr: installTrouble } = spawnSync(join(ROOT, 'bin/mini-qmail'), install);
if (installStatus !== 0) throw new Error(`Cannot install: ${installTrouble}`);

console.log(`sendmail-start: wall time of a whole process, ${ROUNDS} rounds`);
try {
  const node = realpathSync(join(ROOT, 'node_modules/node/bin/node'));
  const env = { PATH: process.env['PATH'], USER: 'cron' };
  const candidates = [
    { name: 'empty node process', run: async () => time(node, [join(home, 'empty.cjs')], env) },
    {
      name: 'sendmail -t, message handed over',
      run: async () => time(join(ROOT, 'bin/sendmail'), ['-t'], { ...env, QMAILHOME: home }),
    },
    {
      // An installation has an interpreter of its own, which the kernel may hold in memory in other pieces.
      name: 'empty process of the installed node',
      run: async () => time(join(prefix, 'lib/mini-qmail/node'), [join(home, 'empty.cjs')], env),
    },
    {
      name: 'installed sendmail -t',
      run: async () => time(join(prefix, 'bin/sendmail'), ['-t'], { ...env, QMAILHOME: home }),
    },
    {
      name: 'the same without its code cache',
      run: async () => time(node, [uncached, join(ROOT, 'bin/sendmail'), '-t'], { ...env, QMAILHOME: home }),
    },
  ];
  if (findPeer('true') !== undefined)
    candidates.push({
      name: 'true (floor of the method)',
      run: async () => time(findPeer('true')!, [], env),
    });
  const spreads = await takeTurns(candidates, ROUNDS);
  printSpreads(spreads, 'ms', 1);
  const ratio =
    spreads.get('sendmail -t, message handed over')!.median / spreads.get('empty node process')!.median;
  printRatio('sendmail against an empty node process', ratio, { atMost: 1.4 });
  const installed =
    spreads.get('installed sendmail -t')!.median / spreads.get('empty process of the installed node')!.median;
  printRatio('installed sendmail against an empty process of its node', installed, { atMost: 1.4 });
} finally {
  await hub.end();
  removeHome(home);
}
