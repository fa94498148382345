// tcprulescheck: says what tcpserver would do for a client with these variables, by the same look-up.
// Source: the tcprulescheck page of cr.yp.to/ucspi-tcp. Differs: an empty file and a folder are errors with their own text.

import { failOnSystem } from '../client/fatal.ts';
import { refuseUsage } from '../client/refuse.ts';
import { bytesOf, concatBytes } from '../core/bytes/bytes.ts';
import { findTcpRule, readTcpRuleData, type TcpClient, type TcpRule } from '../core/policy/tcp-rules.ts';
import { writeBlocking } from '../host/blocking-io.ts';
import { openCdbFile } from '../host/cdb-file.ts';
import type { ProgramWords } from '../host/program-words.ts';
import type { Environment } from '../host/raw-arguments.ts';

const PROGRAM = 'tcprulescheck';
const STDOUT = 1;

/** Runs tcprulescheck to its end; returns its exit code. */
export function runTcprulescheck({ args: [path], env }: ProgramWords): number {
  if (path === undefined) return refuseUsage(PROGRAM, 'tcprulescheck rules.cdb');
  let report: Uint8Array;
  try {
    const cdb = openCdbFile(path);
    report = describeTcpRule(findTcpRule(cdb.find, clientOf(env)));
    cdb.close();
  } catch (error) {
    return failOnSystem(PROGRAM, ['read ', path], error);
  }
  try {
    writeBlocking(STDOUT, report);
  } catch (error) {
    return failOnSystem(PROGRAM, ['write output'], error);
  }
  return 0;
}

function clientOf(env: Environment): TcpClient {
  const ip = env.get('TCPREMOTEIP') ?? bytesOf('0.0.0.0');
  const host = env.get('TCPREMOTEHOST');
  const info = env.get('TCPREMOTEINFO');
  const certificate = env.get('TCPREMOTECERT');
  return { ip, ...(host && { host }), ...(info && { info }), ...(certificate && { certificate }) };
}

/** What is printed for the rule that holds, or for none. What a rule sets behind a denial is of no effect, and not shown. */
export function describeTcpRule(rule: TcpRule | undefined): Uint8Array {
  const parts: Uint8Array[] = [];
  if (rule === undefined) parts.push(bytesOf('default:\n'));
  else parts.push(bytesOf('rule '), rule.key, bytesOf(':\n'));
  const { allow, environment } = readTcpRuleData(rule?.data ?? new Uint8Array(0), true);
  for (const { name, value } of environment) {
    parts.push(bytesOf('set environment variable '), name, bytesOf('='), value, bytesOf('\n'));
  }
  parts.push(bytesOf(allow ? 'allow connection\n' : 'deny connection\n'));
  return concatBytes(parts);
}
