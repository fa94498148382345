// Who may speak SMTP to the hub, and what holds for them. Anybody may, as a mail exchanger is there for all, unless a rule denies
// it; sending anywhere is only for those of whom control/qmqpclients or a rule says so. Invariant: what cannot be found out
// is a no.

import type { Environment } from '../client/qmqp-submit.ts';
import { bytesOf } from '../core/bytes/bytes.ts';
import { openRulesFile } from '../gate/rules-file.ts';
import { reasonOf } from '../host/system-error.ts';
import type { JudgeClient } from './client-judge.ts';

/** Whether a client may connect, with the variables that qmail-smtpd would find (RELAYCLIENT …); or why not. */
export type SmtpClientVerdict =
  | { readonly allow: true; readonly env: Environment }
  | { readonly allow: false; readonly reason: string };

/** Judges the client at an IP address, IPv4 addresses in their own form. */
export type JudgeSmtpClient = (ip: string) => SmtpClientVerdict;

const RELAYER: SmtpClientVerdict = { allow: true, env: { RELAYCLIENT: '' } };
const STRANGER: SmtpClientVerdict = { allow: true, env: {} };

/** Whoever may use QMQP may send anywhere; all others may connect. */
export function judgeByQmqpClients(judge: JudgeClient): JudgeSmtpClient {
  return (ip) => (judge(ip).allow ? RELAYER : STRANGER);
}

/** By rules as tcpserver's, looked up for each connection: the first that matches the address holds. */
export function judgeBySmtpRules(path: string): JudgeSmtpClient {
  const find = openRulesFile(Buffer.from(path), false);
  return (ip) => {
    try {
      const verdict = find({ ip: bytesOf(ip) });
      if (verdict?.allow === false) return { allow: false, reason: `denied by ${path}` };
      const env: Record<string, string> = {};
      for (const { name, value } of verdict?.environment ?? []) {
        if (value === undefined) delete env[String(Buffer.from(name))];
        else env[String(Buffer.from(name))] = String(Buffer.from(value));
      }
      return { allow: true, env };
    } catch (error) {
      return { allow: false, reason: reasonOf(error) };
    }
  };
}
