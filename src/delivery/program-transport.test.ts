import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { bytesOf } from '../core/bytes/bytes.ts';
import { ProgramTransport } from './program-transport.ts';

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'program-transport-'));
});
after(() => rmSync(folder, { recursive: true }));

/** Sends to these recipients by a shell script; the outcomes. */
async function send(script: string, recipients: readonly string[], message = 'x\n'): Promise<string[]> {
  const program = join(folder, 'remote');
  writeFileSync(program, `#!/bin/sh\ncd ${folder}\n${script}\n`, { mode: 0o755 });
  const { outcomes } = await new ProgramTransport(program).deliver({
    destination: { key: '', host: '', port: 25, routed: false },
    sender: bytesOf('s@a'),
    recipients: recipients.map(bytesOf),
    message: bytesOf(message),
  });
  return outcomes.map(({ letter, text }) => letter + text);
}

test('the program runs once for each recipient, with host, sender, recipient and the whole message', async () => {
  const message = 'line\n'.repeat(100_000);
  const script = 'echo "$@" >>calls; cat >"message.$3"; printf "r\\0Kok\\n\\0"';
  assert.deepEqual(await send(script, ['b@c.example', 'd@E.example'], message), ['Kok\n', 'Kok\n']);
  assert.equal(
    readFileSync(join(folder, 'calls'), 'utf8'),
    'c.example s@a b@c.example\nE.example s@a d@E.example\n',
  );
  assert.equal(readFileSync(join(folder, 'message.b@c.example'), 'latin1'), message);
});

test('whatever the program does is an outcome of each recipient', async () => {
  const rows: [string, string][] = [
    ['printf "h5xx\\0KKept\\0"', 'D5xx'],
    ['printf garbage', 'D'],
    ['printf "Ztrouble\\n\\0" >&2', 'Ztrouble\n'],
    ['exit 0', 'Zqmail-remote produced no output.\n'],
    ['exit 111', 'ZUnable to run qmail-remote.\n'],
    ['exit 3', 'DUnable to run qmail-remote.\n'],
    ['kill -9 $$', 'Zqmail-remote crashed.\n'],
    ['exec 0<&-; printf "r\\0Kunread\\0"', 'Kunread'],
  ];
  for (const [script, outcome] of rows)
    assert.deepEqual(await send(script, ['a@b'], 'x'.repeat(300_000)), [outcome], script);
  const [endless] = await send('head -c 3000000 /dev/zero | tr "\\0" y; printf "\\0"', ['a@b']);
  assert.equal(endless, 'D');
});

test('a program that cannot be started, or addresses that it cannot be given, are told', async () => {
  const delivery = {
    destination: { key: '', host: '', port: 25, routed: false },
    ...{ sender: bytesOf('s@a'), recipients: ['r@b', 'r\xff@b', 'r\0@b'].map(bytesOf), message: bytesOf('') },
  };
  const { outcomes } = await new ProgramTransport(join(folder, 'no-such-program')).deliver(delivery);
  assert.deepEqual(
    outcomes.map(({ letter, text }) => letter + text),
    [
      'ZUnable to run qmail-remote.\n',
      'DSorry, that address cannot be sent by SMTP. (#5.1.3)\n',
      'DSorry, that address cannot be sent by SMTP. (#5.1.3)\n',
    ],
  );
});
