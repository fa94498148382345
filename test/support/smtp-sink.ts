// Postfix's smtp-sink, with whatever faults its options give it.

import { spawn } from 'node:child_process';
import { userInfo } from 'node:os';
import { accepting, findPeer, freePort } from './peers.ts';

/** A running smtp-sink on a port of 127.0.0.1. */
export interface SmtpSink {
  readonly port: number;
  stop(): Promise<void>;
}

/** Starts one. @param cwd where its files go, if it is to keep messages */
export async function startSink(args: readonly string[], cwd?: string): Promise<SmtpSink> {
  const port = await freePort();
  const user = userInfo().uid === 0 ? ['-u', 'root'] : [];
  const words = [...user, ...args, `127.0.0.1:${port}`, '100'];
  const child = spawn(findPeer('smtp-sink') ?? '', words, { cwd, stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  await accepting(port);
  return {
    port,
    async stop() {
      child.kill();
      await ended;
    },
  };
}
