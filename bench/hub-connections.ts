// What memory do 10,000 idle connections to the hub cost, by QMQP and by SMTP, and is the next one still taken? It needs 20,100
// descriptors between its two processes: `ulimit -n 20100` where fewer are allowed.

import { join } from 'node:path';
import { HubProcess, makeHome, removeHome } from '../test/support/hub-process.ts';
import { type IdleClients, idleMegabytes, printIdle } from './support/idle-clients.ts';

const COUNT = 10_000;
const ENVELOPE = 'EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n';

const QUESTIONS: readonly [of: string, protocol: 'qmqp' | 'smtp', clients: IdleClients][] = [
  ['QMQP that have said nothing', 'qmqp', { count: COUNT, words: '', isGreeted: false }],
  ['QMQP that have begun', 'qmqp', { count: COUNT, words: '1', isGreeted: false }],
  ['SMTP that have said nothing', 'smtp', { count: COUNT, words: '', isGreeted: true }],
  ['SMTP with a recipient', 'smtp', { count: COUNT, words: ENVELOPE, isGreeted: true }],
];

console.log(`hub-connections: memory of a hub with ${COUNT} connections that wait`);
for (const [of, protocol, clients] of QUESTIONS) {
  const home = makeHome();
  const hub = await HubProcess.start(home, join(home, 'log'), 0, ['--smtp', '127.0.0.1:0']);
  const port = protocol === 'smtp' ? hub.smtpPort : hub.port;
  printIdle(of, clients, await idleMegabytes(port, hub.pid, clients));
  await hub.end();
  removeHome(home);
}
