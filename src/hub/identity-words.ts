// The command line of `mini-qmail identity`; what it does is in setup/identity-command.ts.

import { defineCommand } from 'citty';
import type { IdentityCommand } from '../setup/identity-command.ts';
import { checkWords, homeArg, UsageError, valuesOf } from './command-words.ts';

type Request = Partial<IdentityCommand> & Pick<IdentityCommand, 'action'>;

const names = {
  name: { type: 'string', description: 'a name or address of the hub; repeatable', valueHint: 'NAME' },
} as const;
const word = { what: { description: 'name or fingerprint', type: 'positional' } } as const;
const file = { what: { description: 'file of a request or certificate', type: 'positional' } } as const;
const newArgs = {
  home: homeArg,
  name: { type: 'string', description: "this host's name", valueHint: 'HOST' },
  group: { type: 'string', description: 'group whose members may read the key', valueHint: 'GROUP' },
} as const;
const signArgs = {
  home: homeArg,
  name: { type: 'string', description: 'in place of the name in the request', valueHint: 'HOST' },
  days: { type: 'string', description: 'how long the certificate is valid', valueHint: 'N' },
  ...file,
} as const;
const listArgs = {
  home: homeArg,
  json: { type: 'boolean', description: 'one JSON object per line and certificate' },
} as const;

/** The command and its actions. @param homeOf the installation, given what --home says */
export function defineIdentity(homeOf: (given: string | undefined) => string) {
  const run = async (given: string | undefined, request: Request) => {
    const { runIdentity } = await import('../setup/identity-command.ts');
    const nothing = { names: [], group: undefined, days: undefined, json: false, word: undefined };
    process.exitCode = runIdentity({ ...nothing, home: homeOf(given), ...request });
  };
  const defineOfHub = (action: 'init' | 'renew', description: string) =>
    defineCommand({
      meta: { name: action, description },
      args: { home: homeArg, ...names },
      async run({ args, rawArgs }) {
        checkWords(args, ['home', 'name']);
        await run(args.home, { action, names: valuesOf(rawArgs, '--name') });
      },
    });
  return defineCommand({
    meta: { name: 'identity', description: 'keys and certificates by which hub and hosts know each other' },
    subCommands: {
      init: defineOfHub('init', "make the hub's authority and its own certificate"),
      renew: defineOfHub('renew', 'make a new certificate for the hub'),
      new: defineCommand({
        meta: { name: 'new', description: 'make a key for this host, and a request to be signed on the hub' },
        args: newArgs,
        async run({ args }) {
          checkWords(args, Object.keys(newArgs));
          const { home, name, group } = args;
          await run(home, { action: 'new', names: name === undefined ? [] : [name], group });
        },
      }),
      sign: defineCommand({
        meta: { name: 'sign', description: 'issue a certificate for a host, and print it' },
        args: signArgs,
        async run({ args }) {
          checkWords({ ...args, _: args._.slice(1) }, Object.keys(signArgs));
          const { home, name, days, what } = args;
          await run(home, { action: 'sign', names: name === undefined ? [] : [name], days, word: what });
        },
      }),
      list: defineCommand({
        meta: { name: 'list', description: 'list the hosts that the hub knows' },
        args: listArgs,
        async run({ args }) {
          checkWords(args, Object.keys(listArgs));
          await run(args.home, { action: 'list', json: args.json === true });
        },
      }),
      revoke: defineCommand({
        meta: { name: 'revoke', description: 'take no mail any more by a certificate, or those of a name' },
        args: { home: homeArg, ...word },
        async run({ args }) {
          checkWords({ ...args, _: args._.slice(1) }, ['home', 'what']);
          if (args.what === undefined)
            throw new UsageError('Nothing to revoke: give a name or a fingerprint');
          await run(args.home, { action: 'revoke', word: args.what });
        },
      }),
      show: defineCommand({
        meta: { name: 'show', description: 'say what a certificate or request says' },
        args: file,
        async run({ args }) {
          checkWords({ ...args, _: args._.slice(1) }, ['what']);
          await run(undefined, { action: 'show', word: args.what });
        },
      }),
    },
  });
}
