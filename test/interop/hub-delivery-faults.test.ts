// The hub in front of servers that refuse, break off and dawdle at each step, as Postfix's smtp-sink can: every message ends as
// delivered, deferred or bounced, with the reason that was the true one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HubProcess, makeHome, readMailbox, removeHome, submit } from '../support/hub-process.ts';
import { missingPeers } from '../support/peers.ts';
import { type SmtpSink, startSink } from '../support/smtp-sink.ts';

type End = 'success' | 'deferral' | 'failure';

/** Options of smtp-sink, and what becomes of a message to it. */
interface Fault {
  readonly options: readonly string[];
  readonly end: End;
  /** What the report must say. */
  readonly says: RegExp;
}

const ACCEPTED = /accepted message\.\/Remote host said: 250 2\.[02]\.0 Ok/;
const DIED = /but connection died\. \(#4\.4\.2\)/;
const DUPLICATE = /but connection died\. Possible duplicate! .* unknown="may arrive twice"/;

/** What a report calls each step; before MAIL no refusal is for good. */
const STEPS: readonly (readonly [command: string, words: string, isBeforeMail?: true])[] = [
  ['CONNECT', 'but greeting failed', true],
  ['EHLO,HELO,LHLO', 'but my name was rejected', true],
  ['MAIL', 'but sender was rejected'],
  ['RCPT', 'does not like recipient'],
  ['DATA', 'failed on DATA command'],
  ['.', 'failed after I sent the message'],
];

/** Refusals and lost connections at every step. */
function faultsAtSteps(protocol: readonly string[]): Fault[] {
  return STEPS.flatMap(([command, words, isBeforeMail]) => {
    const says = (reply: string) => new RegExp(`${words}\\./Remote host said: ${reply}`);
    const lost = command === '.' ? DUPLICATE : DIED;
    return [
      { options: ['-f', command], end: isBeforeMail ? 'deferral' : 'failure', says: says('500 5\\.3\\.0 ') },
      { options: ['-r', command], end: 'deferral', says: says('450 4\\.3\\.0 ') },
      { options: ['-Q', command], end: 'deferral', says: says('421 4\\.0\\.0 ') },
      { options: ['-q', command], end: 'deferral', says: lost },
    ].map(({ options, end, says }) => ({ options: [...protocol, ...options], end: end as End, says }));
  });
}

const delivered = (...options: string[]): Fault => ({ options, end: 'success', says: ACCEPTED });
const deferred = (says: RegExp, ...options: string[]): Fault => ({ options, end: 'deferral', says });

const FAULTS: readonly Fault[] = [
  // Servers of all ages, and troubles that are not the message's.
  delivered(),
  delivered('-L'),
  delivered('-e'),
  delivered('-P'),
  delivered('-8', '-N', '-E', '-a', '-p'),
  ...['EHLO', 'RSET', 'QUIT'].map((command) => delivered('-f', command)),
  delivered('-q', 'QUIT'),
  ...faultsAtSteps([]),
  ...faultsAtSteps(['-L']),
  // Silence for longer than control/timeoutremote. The program mixes up delays and PIPELINING.
  ...['CONNECT', 'EHLO', 'MAIL', 'RCPT', 'DATA'].map((command) =>
    deferred(DIED, '-p', '-W', `${command}:30`),
  ),
  deferred(DUPLICATE, '-W', '.:30'),
  deferred(DIED, '-H', '30', '-T', '4096'),
];

/** More than fits into the sockets' buffers, for the server that does not read. */
const BULK = 'Subject: bulk\n\n'.padEnd(5_000_000, 'line\n');

test(`each of ${FAULTS.length} kinds of trouble with a server ends as it should`, {
  skip: missingPeers('smtp-sink'),
}, async () => {
  const sinks: SmtpSink[] = [];
  // One after the other: a free port is only free until somebody takes it.
  for (const { options } of FAULTS) sinks.push(await startSink(options));
  const routes = FAULTS.map(({ options }, i) => {
    const protocol = options.includes('-L') ? 'lmtp:' : '';
    return `f${i}.example:${protocol}127.0.0.1:${sinks[i]!.port}\n`;
  });
  const home = makeHome({
    locals: 'hub.example\n',
    smtproutes: routes.join(''),
    timeoutremote: '3\n',
    concurrencyremote: '100\n',
  });
  const hub = await HubProcess.start(home);
  try {
    for (const [i, { options }] of FAULTS.entries()) {
      const message = options.includes('-H') ? BULK : 'Subject: t\n\nbody\n';
      assert.match(await submit(hub.port, message, `s${i}@hub.example`, `r@f${i}.example`), /^K/);
    }
    for (const [i, { options, end, says }] of FAULTS.entries()) {
      const told = new RegExp(`delivery\\.(\\w+) [^\n]*recipient=r@f${i}\\.example ([^\n]*)`);
      await hub.untilLogged(told);
      const [, ended, text = ''] = told.exec(hub.log.text)!;
      assert.equal(ended, end, `smtp-sink ${options.join(' ')}: ${text}`);
      assert.match(text, says, `smtp-sink ${options.join(' ')}`);
      if (end === 'failure') await hub.untilLogged(new RegExp(`success [^\n]*recipient=s${i}@hub\\.example`));
      const notices = readMailbox(home, 'hub.example', `s${i}`);
      assert.equal(notices.length, end === 'failure' ? 1 : 0);
      const reason = /Remote host said: [^/]*/.exec(says.test(text) ? text : '')?.[0] ?? '';
      for (const notice of notices)
        assert.ok(notice.includes(`\n<r@f${i}.example>:\n`) && notice.includes(reason));
    }
  } finally {
    await hub.end('SIGKILL');
    for (const sink of sinks) await sink.stop();
    removeHome(home);
  }
});
