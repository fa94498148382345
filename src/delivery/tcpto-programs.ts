// qmail-tcpto prints the addresses that have not answered lately, qmail-tcpok forgets them all. Sources: their manual pages.

import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { listTimeouts, TCPTO_BYTES } from '../core/format/tcpto.ts';
import type { Clock } from '../host/clock.ts';
import { errorText } from '../host/error-text.ts';
import { lockFile } from '../host/file-lock.ts';
import { canEnter } from '../host/invocation.ts';
import type { Environment } from '../host/raw-arguments.ts';

/** What either program is run with. `print` gets the text for standard output, or for the errors of qmail-tcpok. */
export interface TcptoProgram {
  readonly home: string;
  readonly env: Environment;
  readonly clock: Clock;
  readonly print: (text: string) => void;
}

const EXIT_TROUBLE = 111;

/** Runs qmail-tcpto; errors go to standard output too. @returns the exit code */
export function runTcpto(program: TcptoProgram): number {
  const { clock, print } = program;
  return withLockedTable(program, 'fatal', (descriptor) => {
    const table = new Uint8Array(TCPTO_BYTES);
    const length = attempt('read tcpto', () => readSync(descriptor, table, 0, TCPTO_BYTES, 0));
    const nowSeconds = Math.floor(clock.nowMs() / 1000);
    let text = '';
    for (const { ip, count, whenSeconds } of listTimeouts(table.subarray(0, length)))
      text += `${ip.join('.')} timed out ${nowSeconds - whenSeconds} seconds ago; # recent timeouts: ${count}\n`;
    print(text);
  });
}

/** Runs qmail-tcpok. @returns the exit code */
export function runTcpok(program: TcptoProgram): number {
  return withLockedTable(program, 'qmail-tcpok: fatal', (descriptor) => {
    attempt('clear tcpto', () => writeSync(descriptor, new Uint8Array(TCPTO_BYTES), 0, TCPTO_BYTES, 0));
  });
}

/** What a step failed with. */
class StepError extends Error {}

function attempt<T>(step: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw new StepError(`unable to ${step}: ${errorText(error)}\n`);
  }
}

function withLockedTable(
  { home, env, print }: TcptoProgram,
  start: string,
  use: (descriptor: number) => void,
): number {
  let descriptor: number | undefined;
  try {
    const folder = `${home}/queue/lock`;
    if (!canEnter(folder)) throw new StepError(`unable to chdir: ${errorText(MISSING)}\n`);
    const table = attempt('open tcpto', () => openSync(`${folder}/tcpto`, 'r+'));
    descriptor = table;
    attempt('lock tcpto', () => lockFile(table, env));
    use(table);
    return 0;
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    print(`${start}: ${error.message}`);
    return EXIT_TROUBLE;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

const MISSING = Object.assign(new Error('missing'), { code: 'ENOENT' });
