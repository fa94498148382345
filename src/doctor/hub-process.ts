// The processes of this host that belong to an installation, as Linux tells them: where a hub listens and by which rules, which rules
// a tcpserver uses. What belongs to other users may not be visible, and is then as if it were not there.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { parseShortOptions } from '../core/format/short-options.ts';

/** A process: its words, and the folder that relative paths begin in, which only its own user and root can see. */
export interface SeenProcess {
  readonly pid: number;
  readonly words: readonly string[];
  readonly folder: string | undefined;
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

function folderOf(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch {
    return undefined;
  }
}

/** The absolute path of one that a process was given; undefined if it cannot be known. */
function absolute(path: string | undefined, folder: string | undefined): string | undefined {
  if (path === undefined || isAbsolute(path)) return path;
  return folder === undefined ? undefined : resolve(folder, path);
}

/** Options of a hub that runs, as its command line says. */
export interface RunningHub {
  readonly pid: number;
  readonly options: ReadonlyMap<string, string>;
  /** The files of `--rules`, and of the rules for SMTP if it is taken; absolute. */
  readonly rules: string | undefined;
  readonly smtpRules: string | undefined;
  /** Whether there are such files, and this user cannot know which. */
  readonly hidesRules: boolean;
}

/** The hub of a home; undefined if none can be seen. Only one that was given its home by `--home` is known. */
export function findHub(processes: readonly SeenProcess[], home: string): RunningHub | undefined {
  for (const { pid, words, folder } of processes) {
    const at = words.indexOf('hub');
    if (at < 1 || !words.slice(0, at).some((word) => /(?:^|\/)mini-qmail(?:\.\w+)?$/.test(word))) continue;
    const options = readOptions(words.slice(at + 1));
    const given = options.get('home');
    if (absolute(given, folder)?.replace(/\/$/, '') !== home) continue;
    const rules = options.get('rules');
    const forSmtp =
      options.has('smtp') || options.has('lmtp') ? (options.get('smtp-rules') ?? rules) : undefined;
    const [all, smtp] = [rules, forSmtp].map((path) => absolute(path, folder));
    const hidesRules =
      (rules !== undefined && all === undefined) || (forSmtp !== undefined && smtp === undefined);
    return { pid, options, rules: all, smtpRules: smtp, hidesRules };
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

/** As both tcpservers, ours and the original. */
const TCPSERVER_GRAMMAR = { plain: '1UXpPhHrRoOdDqQv', withArgument: 'cxBgublt', withRest: '' };

/** The rules files of every tcpserver that runs a program of a home, absolute. @param program as `qmail-smtpd`, which may also be found by a search path */
export function findTcpserverRules(
  processes: readonly SeenProcess[],
  home: string,
  program: string,
): string[] {
  const files = processes.flatMap(({ words, folder }) => {
    const at = words.slice(0, 4).findLastIndex((word) => /(?:^|\/)tcpserver(?:\.\w+)?$/.test(word));
    const isOurs = (word: string) => word === program || absolute(word, folder) === `${home}/bin/${program}`;
    if (at < 0 || !words.some(isOurs)) return [];
    const { options } = parseShortOptions(words.slice(at + 1).map(bytesOf), TCPSERVER_GRAMMAR);
    const given = options.findLast(({ letter }) => letter === 'x')?.argument;
    return absolute(given && textOf(given), folder) ?? [];
  });
  return [...new Set(files)];
}
