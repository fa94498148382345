// The way out for remote mail: signed, then by SMTP or by the program that the environment names (QMAILREMOTE, as in notqmail).

import type { DkimSigner } from './dkim-signer.ts';
import { ProgramTransport } from './program-transport.ts';
import { SigningTransport } from './signing-transport.ts';
import type { RemoteTransport } from './transport.ts';

/** Puts the parts together. @param env the environment of the process */
export function openOutgoing(
  smtp: RemoteTransport,
  signer: DkimSigner,
  env: NodeJS.ProcessEnv = process.env,
): RemoteTransport {
  const program = env['QMAILREMOTE'];
  return new SigningTransport(program ? new ProgramTransport(program) : smtp, signer);
}
