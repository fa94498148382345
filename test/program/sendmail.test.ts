// sendmail as a process, against what the original does: test/vectors/sendmail.json, and some cases of our own. Its
// qmail-inject runs in the same process when it is ours, and is another program when it is a foreign file: the results
// must be the same.

import { describe, it } from 'node:test';
import { type ClientCase, checkCase, type Installation, readClientCases } from '../support/client-vectors.ts';

const INSTALLATIONS: [Installation, string][] = [
  ['links', 'with qmail-inject in its own process'],
  ['scripts', 'with a foreign qmail-inject'],
];

const CASES: ClientCase[] = [
  {
    id: 'own-01',
    title: 'a closed standard input is no empty message',
    program: 'sendmail',
    args: ['bob@x.y'],
    env: { USER: 'joe' },
    stdin_closed: true,
    expect: { exit: 111, stdout: '', stderr: 'qmail-inject: fatal: read error\n', queue_run: 0 },
  },
  {
    id: 'own-02',
    title: 'a problem of qmail-inject is told and returned as its own',
    program: 'sendmail',
    args: ['-t'],
    env: { USER: 'joe' },
    stdin: 'To: )\n',
    expect: {
      exit: 100,
      stdout: '',
      stderr: 'qmail-inject: fatal: unable to parse this line:\nTo: )\n',
      queue_run: 0,
    },
  },
  {
    id: 'own-03',
    title: 'options that qmail-inject would understand are recipients after --',
    program: 'sendmail',
    args: ['--', '-n'],
    env: { USER: 'joe' },
    stdin: 'To:\nDate:\nMessage-ID:\nFrom:\n\nx',
    expect: {
      exit: 0,
      stdout: '',
      stderr: '',
      queue_run: 1,
      fd0: 'To:\nDate:\nMessage-ID:\nFrom:\n\nx\n',
      fd1: 'Fjoe@defaulthost.defaultdomain\0T-n@defaulthost.defaultdomain\0\0',
    },
  },
];

for (const [installation, how] of INSTALLATIONS) {
  describe(`sendmail does what the original does ${how}`, { concurrency: 2 }, () => {
    for (const vector of [...readClientCases('sendmail'), ...CASES]) {
      // Cases with recorders in place of the programs have nothing that could be ours.
      if (installation === 'scripts' && vector.bin !== undefined) continue;
      it(`${vector.id} ${vector.title}`, () => checkCase(vector, installation));
    }
  });
}

it('sendmail hands bytes that are not UTF-8 to its own qmail-inject', () =>
  checkCase({
    id: 'own-04',
    title: 'raw bytes',
    program: 'sendmail',
    args: ['-f', { b64: 'avxAeC55' }, { b64: 'YvxAeC55' }],
    env: { USER: 'joe' },
    stdin: 'To:\nDate:\nMessage-ID:\n',
    expect: {
      exit: 0,
      stdout: '',
      stderr: '',
      queue_run: 1,
      fd0: { parts: [['From: "j\xfc"@x.y\nTo:\nDate:\nMessage-ID:\n', 1]] },
      fd1: { parts: [['Fj\xfc@x.y\0Tb\xfc@x.y\0\0', 1]] },
    },
  }));
