// `mini-qmail doctor`: runs all checks that make sense for an installation, at the same time, and prints what they found.
// Invariant: it ends within a bounded time whatever is dead, and changes nothing unless it is told to send a message.

import { hostname } from 'node:os';
import { secureConnection } from '../client/qmqp-tls.ts';
import { writeBlocking } from '../host/blocking-io.ts';
import { openHostDns } from '../host/host-dns.ts';
import { reasonOf } from '../host/system-error.ts';
import { checkCertificates, filesOfHub, filesOfLine } from './check-certificates.ts';
import { checkCacheFolder, checkSpill } from './check-client-folders.ts';
import { judgeClock, readClockFacts } from './check-clock.ts';
import { checkControlFiles } from './check-control-files.ts';
import { checkDisk } from './check-disk.ts';
import { checkDkim } from './check-dkim.ts';
import { checkEnvironment } from './check-environment.ts';
import { checkGateway } from './check-gateway.ts';
import { checkHub } from './check-hub.ts';
import { checkHubControls } from './check-hub-controls.ts';
import { checkListeners } from './check-listeners.ts';
import { checkNames } from './check-names.ts';
import { checkPrograms } from './check-programs.ts';
import { checkServerList, checkServers, type Probe } from './check-servers.ts';
import { within } from './deadline.ts';
import { CHECK_STATES, countStates, type Finding, Findings } from './finding.ts';
import { formatFindings } from './format-findings.ts';
import { lookUpHost } from './host-names.ts';
import { findHub, findTcpserverRules, listProcesses } from './hub-process.ts';
import { findInstallation, type Installation } from './installation.ts';
import { probeServer } from './probe-server.ts';
import { sendTest } from './send-test.ts';

/** What the command is given. */
export interface DoctorCommand {
  readonly home: string;
  readonly ownBin: string;
  readonly json: boolean;
  /** Where to send a test message, if anywhere. */
  readonly send: string | undefined;
}

/** All of it, as --json prints it. */
export interface DoctorJson {
  readonly home: string;
  readonly roles: Installation['roles'];
  /** The worst state of a check. */
  readonly state: Finding['state'];
  readonly checks: readonly Finding[];
}

/** A check that takes longer is given up, ms; what it waits for has shorter limits. */
const CHECK_MS = 13_000;
const STDOUT = 1;
/** Something is wrong that loses, refuses or misdirects mail. */
const EXIT_ERRORS = 1;

const NO_RULES = { rules: undefined, smtpRules: undefined, hidesRules: false };

type Check = readonly [name: string, run: () => readonly Finding[] | Promise<readonly Finding[]>];

/** Runs the command; returns its exit code: 0, or 1 if a finding is an error. */
export async function runDoctor(command: DoctorCommand): Promise<number> {
  const { home, json, send } = command;
  const installation = findInstallation({ home, ownBin: command.ownBin, env: process.env });
  const found = await runChecks(checksFor(installation));
  if (send !== undefined)
    found.push(...(await runChecks([['send', () => sendTest(installation, send, hostname())]])));
  const counts = countStates(found);
  const state = CHECK_STATES.findLast((one) => counts[one] > 0) ?? 'ok';
  const report: DoctorJson = { home, roles: installation.roles, state, checks: found };
  const withColor = process.stdout.isTTY === true && !process.env['NO_COLOR'];
  const text = json ? `${JSON.stringify(report, undefined, 2)}\n` : formatFindings(found, withColor);
  writeBlocking(STDOUT, Buffer.from(text));
  return state === 'error' ? EXIT_ERRORS : 0;
}

/** Runs all at the same time. One that fails or hangs is a finding itself. */
export async function runChecks(checks: readonly Check[], limitMs = CHECK_MS): Promise<Finding[]> {
  const results = await Promise.all(checks.map((check) => runCheck(check, limitMs)));
  return results.flat();
}

async function runCheck([name, run]: Check, limitMs: number): Promise<readonly Finding[]> {
  const found = new Findings(name);
  const remedy = 'run the doctor as another user, or look at this by hand';
  try {
    const result = await within((async () => run())(), limitMs, undefined);
    if (result !== undefined) return result;
    found.warning(name, `was not over within ${limitMs / 1000} seconds`, remedy);
  } catch (error) {
    found.error(name, `could not be looked at: ${reasonOf(error)}`, remedy);
  }
  return found.list;
}

function checksFor(installation: Installation): Check[] {
  const { home, roles, hasQueue } = installation;
  const uid = process.getuid?.() ?? 0;
  const processes = listProcesses();
  const hub = findHub(processes, home);
  const probe: Probe = (server, host) =>
    probeServer(server, host, (socket, line) => secureConnection(socket, line, home));
  const list = checkServerList(installation);
  const files = [
    ...list.servers.flatMap(({ server }) => (server.tls === undefined ? [] : filesOfLine(home, server.tls))),
    ...(roles.includes('hub') ? filesOfHub(home) : []),
  ];
  const checks: Check[] = [
    ['control', () => checkControlFiles(installation)],
    ['environment', () => checkEnvironment(installation)],
    ['programs', () => checkPrograms(installation)],
    ['names', () => checkNames(installation, hostname(), lookUpHost)],
    ['clock', async () => judgeClock(await readClockFacts(home))],
    ['tls', () => checkCertificates(files, Date.now())],
  ];
  if (list.servers.length > 0 || roles.some((role) => role !== 'hub')) {
    checks.push(['servers', () => list.findings]);
    checks.push(['servers', () => checkServers(list, { lookUp: lookUpHost, probe })]);
    checks.push(['cache', () => checkCacheFolder(installation, uid)]);
    checks.push(['spill', () => checkSpill(home, uid, Date.now())]);
  }
  if (roles.includes('hub')) {
    checks.push(['hub', () => checkHubControls(home, hub ?? NO_RULES)]);
    checks.push(['hub', () => checkHub(installation, hub)]);
    checks.push(['dkim', () => checkDkim(home, openHostDns())]);
    if (hub !== undefined) checks.push(['hub', () => checkListeners(hub, probe)]);
  }
  if (!hasQueue) checks.push(['disk', () => checkDisk('disk', home)]);
  if (roles.includes('gateway'))
    checks.push(['gateway', () => checkGateway(home, findTcpserverRules(processes, home, 'qmail-smtpd'))]);
  return checks;
}
