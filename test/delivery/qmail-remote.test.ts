// Sending by SMTP against what qmail-remote was observed to do: the same scripted server, the same texts, as qmail-rspawn
// puts them together for each recipient. Differences are listed with their reason.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { bytesOf } from '../../src/core/bytes/bytes.ts';
import { parseControlList } from '../../src/core/format/control-file.ts';
import { parseDomainMap } from '../../src/core/format/domain-map.ts';
import { findDestination } from '../../src/core/policy/route.ts';
import { SmtpTransport } from '../../src/delivery/remote-smtp.ts';
import { SYSTEM_CLOCK } from '../../src/host/clock.ts';
import { type ScriptedReply, ScriptedServer } from './smtp-server.ts';

interface Vector {
  readonly name: string;
  readonly args: readonly string[];
  readonly control: Readonly<Record<string, string>>;
  readonly stdin: string;
  readonly server_script: readonly ScriptedReply[];
  readonly expect: { readonly stdout: string; readonly client_sent: string };
  readonly defect?: string;
}

const VECTORS: readonly Vector[] = JSON.parse(
  readFileSync(new URL('../vectors/qmail-remote.json', import.meta.url), 'utf8'),
);

/** Vectors that we answer otherwise, and why. */
const DIFFERENT: Readonly<Record<string, string>> = {
  'usage-too-few': 'there is no command line',
  'no-me': 'the control files are read elsewhere',
  'helo-251': 'any 2xx reply to EHLO is taken as consent',
  'recipient-reply-3xx-counts-as-ok': 'a recipient is accepted with 2xx only',
  'final-code-letters': 'a reply without a code is temporary: mail is kept when in doubt',
  'address-8bit-quoted': 'addresses that are not UTF-8 are refused',
  'host-dotted-quad-is-me-ambiguous':
    'recipients are routed by their own domain; mail-exchanger.test.ts has the case',
};

/** What qmail-rspawn would report for each recipient sent alone. */
function expectedReports(stdout: string, count: number): string[] {
  const reports = stdout.split('\0').filter((report) => report !== '');
  const last = reports.at(-1)!;
  return Array.from({ length: count }, (_, i) => {
    const own = reports[i] ?? '';
    if (own.startsWith('h') || own.startsWith('s')) {
      return `${own.startsWith('h') ? 'D' : 'Z'}${own.slice(1)}Giving up on 127.0.0.1.\n`;
    }
    return last;
  });
}

async function send(vector: Vector) {
  const server = await ScriptedServer.start(vector.server_script);
  const routes = (vector.control['smtproutes'] ?? '').replaceAll('@PORT@', String(server.port));
  const smtproutes = parseDomainMap(parseControlList(bytesOf(routes)));
  const [host = '', sender = '', ...recipients] = vector.args;
  const transport = new SmtpTransport({
    heloName: (vector.control['helohost'] ?? vector.control['me'] ?? '').trim(),
    timeoutConnectMs: 2000,
    timeoutRemoteMs: vector.server_script.includes('HANG') ? 100 : 10_000,
    clock: SYSTEM_CLOCK,
  });
  if (vector.server_script.length === 0) await server.close();
  try {
    const { outcomes } = await transport.deliver({
      destination: findDestination(bytesOf(`x@${host}`), smtproutes)!,
      sender: bytesOf(sender),
      recipients: recipients.map(bytesOf),
      message: bytesOf(vector.stdin),
    });
    return { outcomes, sent: server.received.join('') };
  } finally {
    await transport.close();
    await server.close();
  }
}

for (const vector of VECTORS) {
  if (vector.name in DIFFERENT) continue;
  test(`qmail-remote: ${vector.name}`, async () => {
    const { outcomes, sent } = await send(vector);
    const expected = expectedReports(vector.expect.stdout, vector.args.length - 2);
    assert.deepEqual(
      outcomes.map(({ letter, text }) => letter + text),
      expected,
    );
    // EHLO instead of HELO; after a failure the connection is reset and kept, not left.
    const wanted = vector.expect.client_sent.replace(/^HELO/, 'EHLO').replace(/QUIT\r\n$/, '');
    assert.equal(sent.replace(/(RSET\r\n)?(QUIT\r\n)?$/, ''), wanted);
  });
}

test('every difference is about a vector that exists', () => {
  const names = VECTORS.map(({ name }) => name);
  assert.deepEqual(
    Object.keys(DIFFERENT).filter((name) => !names.includes(name)),
    [],
  );
});
