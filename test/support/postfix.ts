// Postfix with a configuration and a queue of its own, under a folder of the test.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, cpSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { accepting, findPeer, missingPeers, skipUnless } from './peers.ts';

const NEEDED = ['postfix', 'postcat', 'master', 'qmqpd', 'smtpd', 'cleanup', 'trivial-rewrite'];

/** Why Postfix cannot be started here, or false. */
export function missingPostfix(): string | false {
  return (
    missingPeers(...NEEDED) || skipUnless(process.getuid?.() === 0 ? [] : ['Postfix is started by root only'])
  );
}

/** What takes messages out of the queue, towards a relay. */
const LEAVING = [
  'qmgr unix n - n 300 1 qmgr',
  'smtp unix - - n - - smtp',
  'bounce unix - - n - 0 bounce',
  'defer unix - - n - 0 bounce',
  'trace unix - - n - 0 bounce',
];

/**
 * Starts Postfix below the folder, which its own user must be able to search: QMQP or SMTP in on 127.0.0.1. With the port of a
 * relay on 127.0.0.1 its client sends everything there; without it nothing takes messages out of the queue.
 */
export async function startPostfix(
  folder: string,
  port: number,
  service: 'qmqpd' | 'smtpd' = 'qmqpd',
  relayPort?: number,
): Promise<{ conf: string; stop: () => Promise<void> }> {
  const conf = join(folder, 'conf');
  cpSync('/etc/postfix', conf, { recursive: true });
  for (const name of ['queue', 'data']) mkdirSync(join(folder, name));
  const settings = {
    compatibility_level: '3.6',
    queue_directory: `${folder}/queue`,
    data_directory: `${folder}/data`,
    command_directory: dirname(findPeer('postfix') ?? ''),
    daemon_directory: dirname(findPeer('qmqpd') ?? ''),
    mail_owner: 'postfix',
    setgid_group: 'postdrop',
    myhostname: 'postfix.example',
    inet_interfaces: '127.0.0.1',
    mydestination: '',
    maillog_file: `${folder}/log`,
    maillog_file_prefixes: folder,
    qmqpd_authorized_clients: '127.0.0.1',
    // A look-up of users would need one more service.
    local_recipient_maps: '',
    smtpd_relay_restrictions: 'permit_mynetworks, reject',
    smtpd_client_connection_count_limit: '0',
    // Without a queue manager nobody hands out the tokens that this delay waits for.
    in_flow_delay: '0s',
    ...(relayPort === undefined ? {} : { relayhost: `[127.0.0.1]:${relayPort}` }),
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`);
  writeFileSync(join(conf, 'main.cf'), lines.join(''));
  writeFileSync(
    join(conf, 'master.cf'),
    [
      `127.0.0.1:${port} inet n - n - - ${service}`,
      'cleanup unix n - n - 0 cleanup',
      'rewrite unix - - n - - trivial-rewrite',
      'postlog unix-dgram n - n - 1 postlogd',
      ...(relayPort === undefined ? [] : LEAVING),
      '',
    ].join('\n'),
  );
  const owner = statSync('/var/lib/postfix', { throwIfNoEntry: false });
  if (owner !== undefined) chownSync(join(folder, 'data'), owner.uid, owner.gid);
  const starter = spawn(findPeer('postfix') ?? '', ['-c', conf, 'start-fg'], { stdio: 'ignore' });
  const ended = once(starter, 'exit');
  await accepting(port);
  return {
    conf,
    async stop() {
      // The starter is a script; the master is a process of its own and takes its services along.
      process.kill(Number(readFileSync(`${folder}/queue/pid/master.pid`, 'latin1')));
      await ended;
    },
  };
}
