// The command line of mini-qmail doctor: its options, and which code runs it. It loads when it runs.

import { defineCommand } from 'citty';
import { checkWords, homeArg } from '../hub/command-words.ts';

const doctorArgs = {
  home: homeArg,
  json: { type: 'boolean', description: 'print JSON' },
  send: { type: 'string', description: 'send a test message there, too', valueHint: 'ADDRESS' },
} as const;

/**
 * Defines `mini-qmail doctor`.
 * @param homeOf finds the installation
 * @param ownBin folder of our own programs
 */
export function defineDoctor(homeOf: (given: string | undefined) => string, ownBin: string) {
  return defineCommand({
    meta: { name: 'doctor', description: 'look for what keeps mail from working, and say what to do' },
    args: doctorArgs,
    async run({ args }) {
      checkWords(args, Object.keys(doctorArgs));
      const { runDoctor } = await import('./doctor-command.ts');
      const { home, json, send } = args;
      const exit = await runDoctor({ home: homeOf(home), ownBin, json: json === true, send });
      // What was given up may go on for long, such as a resolver without an answer.
      process.exit(exit);
    },
  });
}
