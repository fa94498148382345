// `mini-qmail start`, which is `npm start`: a hub on this machine with everything it needs, and what to paste next.

import { createServer } from 'node:net';
import type { HostPort } from './host-port.ts';
import type { Hub } from './hub.ts';
import { runUntilSignal } from './hub-command.ts';
import { prepareHome, writeServers } from './start-home.ts';

const LOOPBACK = '127.0.0.1';
const QMQP_PORT = 628;

/** Prepares the home, runs the hub on loopback, port 628 if it may and another if not. Ends the process. */
export async function runStart({
  home,
  sendmail,
  version,
}: {
  home: string;
  sendmail: string;
  version: string;
}): Promise<void> {
  const me = prepareHome(home);
  const refusal = await whyNot({ host: LOOPBACK, port: QMQP_PORT });
  const wanted = { host: LOOPBACK, port: refusal === undefined ? QMQP_PORT : 0 };
  const announce = ({ qmqp }: Hub) => {
    writeServers(home, qmqp);
    const why = refusal === undefined ? '' : ` (628 is not to be had: ${refusal})`;
    process.stdout.write(
      [
        `mini-qmail ${version}: the hub takes mail by QMQP on ${qmqp.host} port ${qmqp.port}${why}`,
        `state     ${home} (queue, mailboxes, control files)`,
        `mailboxes ${home}/mail/${me}/NAME/new/ for mail to NAME@${me}, any NAME`,
        '',
        'Send a message from another terminal:',
        '',
        `  printf 'Subject: hello\\n\\nIt works.\\n' | QMAILHOME=${shellQuote(home)} ${shellQuote(sendmail)} you`,
        '',
        `What is queued: ${shellQuote(sendmail.replace(/sendmail$/, 'mini-qmail'))} queue ls --home ${shellQuote(home)}`,
        'Ctrl-C stops the hub; what is queued stays.',
        '',
      ].join('\n'),
    );
  };
  await runUntilSignal({ home, qmqp: wanted }, announce, ['SIGINT', 'SIGTERM', 'SIGHUP']);
}

/** Why the address cannot be listened on, or undefined if it can. */
function whyNot({ host, port }: HostPort): Promise<string | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    probe.listen({ host, port }, () => probe.close(() => resolve(undefined)));
  });
}

/** The text as one word of a POSIX shell. */
export function shellQuote(text: string): string {
  const isPlain = [...text].every((c) => /[A-Za-z0-9_/.:=@%+,-]/.test(c));
  return isPlain && text !== '' ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
