// The processes of this host that belong to an installation, as Linux tells them: where a hub listens and by which rules, which rules
// a tcpserver uses. What belongs to other users may not be visible, and is then as if it were not there.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { resolve } from 'node:path';

/** A process: its words, and the folder that relative paths begin in. */
export interface SeenProcess {
  readonly pid: number;
  readonly words: readonly string[];
  readonly folder: string;
}

/** Lists the processes whose words can be seen. */
export function listProcesses(proc = '/proc'): SeenProcess[] {
  let names: string[] = [];
  try {
    names = readdirSync(proc);
  } catch {
    // A system without it tells nothing.
  }
  return names
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const words = readFileSync(`${proc}/${name}/cmdline`, 'utf8').split('\0').slice(0, -1);
        return [{ pid: Number(name), words, folder: folderOf(`${proc}/${name}/cwd`) }];
      } catch {
        return [];
      }
    });
}

function folderOf(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '/';
  }
}

/** Options of a hub that runs, as its command line says. */
export interface RunningHub {
  readonly pid: number;
  readonly options: ReadonlyMap<string, string>;
  /** The files of `--rules`, and of the rules for SMTP if it is taken; absolute. */
  readonly rules: string | undefined;
  readonly smtpRules: string | undefined;
}

/** The hub of a home; undefined if none can be seen. Only one that was given its home by `--home` is known. */
export function findHub(processes: readonly SeenProcess[], home: string): RunningHub | undefined {
  for (const { pid, words, folder } of processes) {
    const at = words.indexOf('hub');
    if (at < 1 || !words.slice(0, at).some((word) => /(?:^|\/)mini-qmail(?:\.\w+)?$/.test(word))) continue;
    const options = readOptions(words.slice(at + 1));
    const given = options.get('home');
    if (given === undefined || resolve(folder, given) !== home) continue;
    const rules = options.get('rules');
    const forSmtp =
      options.has('smtp') || options.has('lmtp') ? (options.get('smtp-rules') ?? rules) : undefined;
    const [all, smtp] = [rules, forSmtp].map((path) =>
      path === undefined ? undefined : resolve(folder, path),
    );
    return { pid, options, rules: all, smtpRules: smtp };
  }
  return undefined;
}

function readOptions(words: readonly string[]): Map<string, string> {
  const options = new Map<string, string>();
  for (const [i, word] of words.entries()) {
    if (!word.startsWith('--')) continue;
    const equals = word.indexOf('=');
    if (equals > 0) options.set(word.slice(2, equals), word.slice(equals + 1));
    else options.set(word.slice(2), words[i + 1] ?? '');
  }
  return options;
}

/** The rules files of every tcpserver that runs a program, absolute. @param program as `qmail-smtpd` */
export function findTcpserverRules(processes: readonly SeenProcess[], program: string): string[] {
  const files = processes.flatMap(({ words, folder }) => {
    const isTcpserver = words.slice(0, 4).some((word) => /(?:^|\/)tcpserver(?:\.\w+)?$/.test(word));
    if (!isTcpserver || !words.some((word) => word === program || word.endsWith(`/${program}`))) return [];
    const found = words.findIndex((word) => /^-[A-Za-z]*x/.test(word));
    if (found < 0) return [];
    const [, inWord = ''] = /^-[A-Za-z]*?x(.*)$/.exec(words[found]!) ?? [];
    const path = inWord === '' ? words[found + 1] : inWord;
    return path === undefined ? [] : [resolve(folder, path)];
  });
  return [...new Set(files)];
}
