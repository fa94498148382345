// Postfix with a configuration and a queue of its own, under a folder of the test. Its master is started without the scripts
// around it, which check a whole installation first; so the folders that those would make are made here.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findPeer, isAccepting, missingPeers, skipUnless } from './peers.ts';

const NEEDED = ['postfix', 'postcat', 'master', 'qmqpd', 'smtpd', 'cleanup', 'trivial-rewrite'];

/** Why Postfix cannot be started here, or false. */
export function missingPostfix(): string | false {
  return (
    missingPeers(...NEEDED) || skipUnless(process.getuid?.() === 0 ? [] : ['Postfix is started by root only'])
  );
}

/** What takes messages out of the queue: to relays by SMTP and LMTP, and into Maildirs. */
const LEAVING = [
  'qmgr unix n - n 300 1 qmgr',
  'smtp unix - - n - - smtp',
  'lmtp unix - - n - - lmtp',
  'virtual unix - n n - - virtual',
  'bounce unix - - n - 0 bounce',
  'defer unix - - n - 0 bounce',
  'trace unix - - n - 0 bounce',
];

const OF_POSTFIX = ['incoming', 'active', 'deferred', 'bounce', 'defer', 'trace', 'private', 'public'];

/** What a Postfix is to do. */
export interface PostfixOptions {
  readonly service?: 'qmqpd' | 'smtpd';
  /** With the port of a relay on 127.0.0.1 its client sends everything there. */
  readonly relayPort?: number;
  /** Whether messages leave its queue; they do with a relay. */
  readonly isLeaving?: boolean;
  /** More of main.cf. */
  readonly settings?: Readonly<Record<string, string>>;
  /** More lines of master.cf. */
  readonly services?: readonly string[];
}

/** A running Postfix. */
export interface Postfix {
  /** The folder of its configuration. */
  readonly conf: string;
  stop(): Promise<void>;
}

/** Starts Postfix below the folder, which its own user must be able to search: QMQP or SMTP in on 127.0.0.1. */
export async function startPostfix(
  folder: string,
  port: number,
  { service = 'qmqpd', relayPort, isLeaving = relayPort !== undefined, ...more }: PostfixOptions = {},
): Promise<Postfix> {
  const conf = join(folder, 'conf');
  for (const name of ['conf', 'queue', 'data', 'queue/pid']) mkdirSync(join(folder, name));
  for (const name of OF_POSTFIX) mkdirSync(join(folder, 'queue', name));
  const owned = ['data', ...OF_POSTFIX.map((name) => `queue/${name}`)];
  spawnSync('chown', ['postfix', ...owned], { cwd: folder });
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
    alias_maps: '',
    smtpd_relay_restrictions: 'permit_mynetworks, reject',
    smtpd_client_connection_count_limit: '0',
    // Without a queue manager nobody hands out the tokens that this delay waits for.
    in_flow_delay: '0s',
    ...(relayPort === undefined ? {} : { relayhost: `[127.0.0.1]:${relayPort}` }),
    ...more.settings,
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
      ...(isLeaving ? LEAVING : []),
      ...(more.services ?? []),
      '',
    ].join('\n'),
  );
  // Postfix waits until its files look as if nobody were about to change them.
  for (const name of ['main.cf', 'master.cf']) utimesSync(join(conf, name), 1, 1);
  const master = spawn(findPeer('master') ?? '', ['-s', '-c', conf], {
    stdio: 'ignore',
    env: { ...process.env, MAIL_CONFIG: conf },
  });
  while (!(await isAccepting(port, '127.0.0.1')))
    if (master.exitCode !== null) throw new Error(`Postfix has ended: ${master.exitCode}`);
  return { conf, stop: () => stop(master) };
}

/** Its services go with it. */
async function stop(master: ChildProcess): Promise<void> {
  const ended = once(master, 'exit');
  master.kill();
  await ended;
}
