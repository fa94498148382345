// The hub's answer to "may this host connect?", from control/qmqpclients or from a file of rules that tcprules has made.
// Invariant: what cannot be found out is a no.

import { bytesOf, equalBytes } from '../core/bytes/bytes.ts';
import { parseControlNumber } from '../core/format/control-file.ts';
import { openRulesFile } from '../gate/rules-file.ts';
import { plainIp } from '../host/plain-ip.ts';
import { reasonOf } from '../host/system-error.ts';

/** Whether a client may connect: the size of its messages, if a rule says one (bytes, 0 for any); or why not. */
export type ClientVerdict =
  | { readonly allow: true; readonly databytes?: number | undefined }
  | { readonly allow: false; readonly reason: string };

/** Judges the client at an IP address, an IPv4 address perhaps written as an IPv6 one. */
export type JudgeClient = (address: string) => ClientVerdict;

const ANSWERS_MAX = 10_000;
const DATABYTES = bytesOf('DATABYTES');

/** A judge by a list that does not change while the hub runs; the same hosts come again and again, so its answers are kept. */
export function judgeByList(mayConnect: (address: string) => boolean): JudgeClient {
  const answers = new Map<string, ClientVerdict>();
  return (address) => {
    let answer = answers.get(address);
    if (answer === undefined) {
      answer = mayConnect(address) ? { allow: true } : { allow: false, reason: 'not in control/qmqpclients' };
      if (answers.size >= ANSWERS_MAX) answers.clear();
      answers.set(address, answer);
    }
    return answer;
  };
}

/**
 * A judge by rules as tcpserver's: the first that matches the address holds, and who matches none may connect. The file is
 * looked at for each connection, so that a change counts at once. Of a rule's variables DATABYTES counts.
 */
export function judgeByRules(path: string): JudgeClient {
  const find = openRulesFile(Buffer.from(path), false);
  return (address) => {
    try {
      const verdict = find({ ip: bytesOf(plainIp(address)) });
      if (verdict?.allow === false) return { allow: false, reason: `denied by ${path}` };
      // The last one counts, as in an environment.
      const databytes = verdict?.environment.filter(({ name }) => equalBytes(name, DATABYTES)).at(-1);
      return { allow: true, databytes: databytes && (parseControlNumber(databytes.value) ?? 0) };
    } catch (error) {
      return { allow: false, reason: reasonOf(error) };
    }
  };
}
