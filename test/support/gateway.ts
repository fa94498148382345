// A gateway as an administrator runs one: our tcpserver on a port, which serves SMTP in its own process and hands each
// message to a hub.

import { join } from 'node:path';
import { ROOT } from './client-vectors.ts';
import { makeHome, removeHome } from './hub-process.ts';
import { startTcpserver, type TcpserverProcess } from './tcpserver-process.ts';

/** A running gateway. */
export interface Gateway {
  readonly port: number;
  readonly home: string;
  readonly server: TcpserverProcess;
  stop(): Promise<void>;
}

/** Starts one whose mail goes to hubs at those ports of 127.0.0.1. */
export async function startGateway(
  hubPorts: readonly number[],
  control: Readonly<Record<string, string>> = {},
  env: Readonly<Record<string, string>> = {},
): Promise<Gateway> {
  const qmqpservers = hubPorts.map((port) => `qmqp://127.0.0.1:${port}\n`).join('');
  const home = makeHome({ me: 'gateway.example\n', qmqpservers, ...control });
  const server = startTcpserver({
    program: join(ROOT, 'bin/tcpserver'),
    args: [
      '-1',
      '-v',
      '-H',
      '-R',
      '-c',
      '200',
      '-b',
      '200',
      '-l',
      'gateway.example',
      '127.0.0.1',
      '0',
      join(ROOT, 'bin/qmail-smtpd'),
    ],
    env: { PATH: '/usr/bin:/bin', QMAILHOME: home, ...env },
    folder: home,
  });
  return {
    port: await server.port(),
    home,
    server,
    async stop() {
      await server.stop();
      removeHome(home);
    },
  };
}
