// `mini-qmail hub`: runs the hub until TERM or INT.

import { resolve } from 'node:path';
import { SYSTEM_CLOCK } from '../host/clock.ts';
import { reasonOf } from '../host/system-error.ts';
import { formatHostPort, type HostPort, parseHostPort } from './host-port.ts';
import { Hub, type HubPlaces } from './hub.ts';
import { LOG_FORMS, type LogForm, openHubLog } from './hub-log.ts';
import type { SmtpPlace } from './smtp-listener.ts';
import { formatSmtpPlace, parseSmtpPlaces } from './smtp-listeners.ts';

/** Exit codes as of all our programs: the caller is wrong, or the environment. */
const EXIT_USAGE = 100;
const EXIT_TEMPORARY = 111;

/** The command line. */
export interface HubArguments {
  readonly home: string;
  readonly qmqp: string;
  readonly qmqps: string | undefined;
  readonly check: string | undefined;
  readonly rules: string | undefined;
  readonly smtp: string | undefined;
  readonly lmtp: string | undefined;
  readonly smtpRules: string | undefined;
  /** One of {@link LOG_FORMS}; the first if undefined. */
  readonly log: string | undefined;
}

/** Runs a hub; prints a line `qmqp HOST:PORT`, then one for each other listener, once it accepts. Ends the process. */
export async function runHubCommand(args: HubArguments): Promise<void> {
  const { home, qmqp, check, rules, log = 'text' } = args;
  const logForm = LOG_FORMS.find((form) => form === log);
  if (logForm === undefined) failUsage(`--log "${log}" is not ${LOG_FORMS.join(', ')}`);
  const places = {
    home,
    qmqp: hostPortOf('--qmqp', qmqp),
    qmqps: args.qmqps === undefined ? undefined : hostPortOf('--qmqps', args.qmqps),
    check: check === undefined ? undefined : hostPortOf('--check', check),
    rules: absolute(rules),
    smtp: smtpPlacesOf('--smtp', args.smtp),
    lmtp: smtpPlacesOf('--lmtp', args.lmtp),
    smtpRules: absolute(args.smtpRules ?? rules),
    logForm,
  };
  await runUntilSignal(places, (hub) => {
    const lines = [
      `qmqp ${formatHostPort(hub.qmqp)}`,
      ...(hub.qmqps === undefined ? [] : [`qmqps ${formatHostPort(hub.qmqps)}`]),
      ...hub.mail.smtp.map((place) => `smtp ${formatSmtpPlace(place)}`),
      ...hub.mail.lmtp.map((place) => `lmtp ${formatSmtpPlace(place)}`),
      ...(hub.check === undefined ? [] : [`check ${formatHostPort(hub.check)}`]),
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
  });
}

function absolute(path: string | undefined): string | undefined {
  return path === undefined ? undefined : resolve(path);
}

function smtpPlacesOf(option: string, text: string | undefined): SmtpPlace[] | undefined {
  const places = text === undefined ? [] : parseSmtpPlaces(text);
  return (
    places ?? failUsage(`${option} "${text}" is not HOST:PORT or unix:PATH, with commas between several`)
  );
}

function hostPortOf(option: string, text: string): HostPort {
  const hostPort = parseHostPort(text);
  if (hostPort !== undefined) return hostPort;
  return failUsage(`${option} "${text}" is not HOST:PORT`);
}

function failUsage(text: string): never {
  process.stderr.write(`mini-qmail hub: fatal: ${text}\n`);
  process.exit(EXIT_USAGE);
}

/**
 * Starts a hub, tells when it runs, and stops it at the first of the signals; a second one ends the process at once.
 * HUP, unless it is one of them, makes it read control files again: to an administrator it never means "stop". ALRM makes it
 * try everything at once.
 */
export async function runUntilSignal(
  places: HubPlaces & { readonly logForm?: LogForm },
  onStarted: (hub: Hub) => void,
  stopAt: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT'],
): Promise<void> {
  const { log, flush } = openHubLog(places.logForm ?? 'text', SYSTEM_CLOCK);
  let hub: Hub;
  try {
    hub = await Hub.start({ ...places, clock: SYSTEM_CLOCK, log });
  } catch (error) {
    flush();
    process.stderr.write(`mini-qmail hub: fatal: ${reasonOf(error)}\n`);
    process.exit(EXIT_TEMPORARY);
  }
  const [check, qmqps] = [hub.check, hub.qmqps].map((place) => place && formatHostPort(place));
  const [smtp, lmtp] = [hub.mail.smtp, hub.mail.lmtp].map(
    (bound) => bound.map(formatSmtpPlace).join() || undefined,
  );
  const qmqp = formatHostPort(hub.qmqp);
  log.write('hub.started', { home: places.home, qmqp, qmqps, smtp, lmtp, check });
  // Before anybody is told, who might answer with a signal at once.
  const stopped = nextSignal(stopAt);
  if (!stopAt.includes('SIGHUP')) process.on('SIGHUP', () => log.write('hub.hangup', { text: reload(hub) }));
  process.on('SIGALRM', () => {
    log.write('hub.alarm', {});
    hub.hasten().catch((error: unknown) => log.write('queue.trouble', { reason: reasonOf(error) }));
  });
  onStarted(hub);
  const signal = await stopped;
  log.write('hub.stopping', { signal });
  void nextSignal(stopAt).then(() => process.exit(EXIT_TEMPORARY));
  if (!(await hub.stop())) log.write('hub.cut', { text: 'deliveries that ran are left in the queue' });
  log.write('hub.stopped', { ...hub.stats() });
  flush();
  process.exit(0);
}

/** What came of reading again. */
function reload(hub: Hub): string {
  try {
    hub.reload();
    return 'locals, virtualdomains, qmqpclients, destinations, smtproutes, queuelifetime and dkim are read again';
  } catch (error) {
    return `nothing has changed: ${reasonOf(error)}`;
  }
}

function nextSignal(names: readonly NodeJS.Signals[]): Promise<string> {
  return new Promise((resolve) => {
    const listen = (signal: NodeJS.Signals) => {
      for (const name of names) process.off(name, listen);
      resolve(signal);
    };
    for (const name of names) process.on(name, listen);
  });
}
