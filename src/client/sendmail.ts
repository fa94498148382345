// sendmail: translates a part of the traditional command line and becomes another program of the home; it never looks at
// the message. When that program is our own qmail-inject it runs in this process, which cannot be told from outside but
// by the time it takes. Source: the sendmail manual page of netqmail.

import { bytesOf, findLastByte } from '../core/bytes/bytes.ts';
import { parseShortOptions } from '../core/format/short-options.ts';
import { become } from '../host/become.ts';
import { complain } from '../host/blocking-io.ts';
import { ownProgramAt } from '../host/invocation.ts';
import type { Environment } from '../host/raw-arguments.ts';
import { type InjectCall, runQmailInject } from './inject.ts';

const USAGE = 'sendmail: usage: sendmail [ -t ] [ -fsender ] [ -Fname ] [ -bp ] [ -bs ] [ arg ... ]\n';
const AT = 64;
/** What an SMTP server must know about its connection, for a client that is a local program. */
const LOCAL_SMTP = {
  RELAYCLIENT: '',
  DATABYTES: '0',
  PROTO: 'TCP',
  TCPLOCALIP: '127.0.0.1',
  TCPLOCALHOST: 'localhost',
  TCPREMOTEIP: '127.0.0.1',
  TCPREMOTEHOST: 'localhost',
  TCPREMOTEINFO: 'sendmail-bs',
};

/** What a command line asks for: a program to become, or a refusal. */
export type SendmailPlan =
  | { readonly program: 'qmail-inject' | 'qmail-smtpd' | 'qmail-qread'; readonly args: readonly Uint8Array[] }
  | { readonly exit: number; readonly text: string };

/** Runs sendmail to its end, or becomes another program; returns the exit code. Changes the working folder to the home. */
export async function runSendmail(call: InjectCall): Promise<number> {
  try {
    process.chdir(call.home);
  } catch {
    complain('sendmail: fatal: unable to switch to qmail home directory\n');
    return 111;
  }
  const plan = planSendmail(call);
  if ('exit' in plan) {
    complain(plan.text);
    return plan.exit;
  }
  const path = `bin/${plan.program}`;
  if (plan.program === 'qmail-inject' && ownProgramAt(path, call.ownBin) === plan.program) {
    return runQmailInject({ ...call, args: plan.args, calledAs: plan.program });
  }
  become(path, plan.args, call.env);
  complain(`sendmail: fatal: unable to run ${plan.program}\n`);
  return 111;
}

/** Understands the command line, in order: -bs and -bp act before what follows them is looked at. Changes `env`. */
export function planSendmail({
  args,
  env,
  calledAs,
}: Pick<InjectCall, 'args' | 'env' | 'calledAs'>): SendmailPlan {
  const parsed = parseShortOptions(args, { plain: 'tivmx', withArgument: 'fFboBpe', withRest: 'EJ' });
  let recipients = '-a';
  let sender: Uint8Array | undefined;
  for (const { letter, argument } of parsed.options) {
    if (letter === 't') recipients = '-H';
    else if (letter === 'f') sender = argument;
    else if (letter === 'F') env.set('MAILNAME', argument);
    else if (letter === 'b') {
      const mode = String.fromCharCode(argument[0] ?? 0);
      if (mode === 's') return planSmtp(env);
      if (mode === 'p') return { program: 'qmail-qread', args: [] };
      if (mode !== 'm') return { exit: 100, text: USAGE };
    }
  }
  if (parsed.problem !== undefined) return { exit: 100, text: `${calledAs}: ${parsed.problem}\n${USAGE}` };
  if (calledAs === 'mailq') return { program: 'qmail-qread', args: [] };
  if (calledAs === 'newaliases') {
    return { exit: 100, text: 'sendmail: fatal: please use fastforward/newaliases instead\n' };
  }
  const senderWords = sender === undefined ? [] : [bytesOf('-f'), sender];
  if (sender !== undefined) showSender(sender, env);
  const options = [bytesOf(recipients), ...senderWords, bytesOf('--')];
  return { program: 'qmail-inject', args: options.concat(parsed.words) };
}

function planSmtp(env: Environment): SendmailPlan {
  if (env.get('PROTO') === undefined) {
    for (const [name, value] of Object.entries(LOCAL_SMTP)) env.set(name, bytesOf(value));
  }
  return { program: 'qmail-smtpd', args: [] };
}

/** Makes a generated From field show the address of -f, and no name with it. */
function showSender(sender: Uint8Array, env: Environment): void {
  env.remove('QMAILNAME', 'MAILNAME', 'NAME', 'QMAILHOST', 'MAILHOST');
  const at = findLastByte(sender, AT);
  env.set('QMAILUSER', at < 0 ? sender : sender.subarray(0, at));
  if (at >= 0) env.set('QMAILHOST', sender.subarray(at + 1));
}
