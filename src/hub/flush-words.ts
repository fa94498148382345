// The command line of mini-qmail flush: its options, and which code runs it. It loads when it runs.

import { defineCommand } from 'citty';
import { checkWords, homeArg } from './command-words.ts';

const flushArgs = {
  home: homeArg,
  list: { type: 'boolean', description: 'show what waits, send nothing' },
  refused: { type: 'boolean', description: 'send also what was refused for good' },
  json: { type: 'boolean', description: 'print JSON' },
} as const;

/** Defines `mini-qmail flush`. @param homeOf finds the installation */
export function defineFlush(homeOf: (given: string | undefined) => string) {
  return defineCommand({
    meta: { name: 'flush', description: 'send what this host has kept while no server took mail' },
    args: flushArgs,
    async run({ args }) {
      checkWords(args, Object.keys(flushArgs));
      const { runFlush } = await import('../client/flush-command.ts');
      process.exitCode = await runFlush({
        ...{ home: homeOf(args.home), json: args.json === true },
        ...{ list: args.list === true, refused: args.refused === true },
      });
    },
  });
}
