// All places where a hub takes SMTP and LMTP, with what they share: control files, bounds, and who may do what.

import type { Environment } from '../client/qmqp-submit.ts';
import { MemoryBudget } from '../gate/memory-budget.ts';
import { cacheSmtpdControls, type ReadSmtpdControls } from '../gate/smtpd-controls.ts';
import type { JudgeClient } from './client-judge.ts';
import { formatHostPort, parseHostPort } from './host-port.ts';
import { judgeByQmqpClients, judgeBySmtpRules } from './smtp-clients.ts';
import type { SmtpSessionServices } from './smtp-connection.ts';
import { SmtpListener, type SmtpListenerOptions, type SmtpPlace } from './smtp-listener.ts';

/** Where to take mail by which of both protocols. */
export interface SmtpPlaces {
  readonly smtp?: readonly SmtpPlace[] | undefined;
  readonly lmtp?: readonly SmtpPlace[] | undefined;
  /** File of the rules that say who may connect and send anywhere, in place of control/qmqpclients. Absolute. */
  readonly smtpRules?: string | undefined;
}

/** Where mail is taken, the ports that were picked included. */
export interface BoundSmtpPlaces {
  readonly smtp: readonly SmtpPlace[];
  readonly lmtp: readonly SmtpPlace[];
}

/** What the listeners of a hub work with. */
export interface SmtpListenersOptions
  extends Pick<SmtpSessionServices, 'home' | 'queue' | 'classify' | 'takes' | 'clock' | 'log'> {
  readonly places: SmtpPlaces;
  /** Who may use QMQP. */
  readonly judge: JudgeClient;
  readonly me: string;
  readonly messageSizeMax: number | undefined;
}

/** Idle ones take some 15 kB each. */
const CONNECTION_COUNT_MAX = 12_000;
const STRANGER_COUNT_MAX = 100;
const ENVELOPE_BYTES_MAX = 64 << 20;
/** Of who may not send anywhere, unless control/smtpextensions has fewer. */
const STRANGER_RECIPIENT_COUNT_MAX = 1000;
const STRANGER_ERROR_COUNT_MAX = 100;
const STRANGER_COMMAND_LENGTH_MAX = 4096;
const UNIX = 'unix:';

type Shared = Pick<SmtpListenerOptions, 'readControls' | 'envelopes' | 'strangerEnvelopes'>;

/** See the head of this file. */
export class SmtpListeners {
  readonly #options: SmtpListenersOptions;
  readonly #listeners: SmtpListener[] = [];

  constructor(options: SmtpListenersOptions) {
    this.#options = options;
  }

  /** Begins to accept everywhere. @throws when a place cannot be had; {@link close} then ends the others */
  async listen(): Promise<BoundSmtpPlaces> {
    const { places, clock } = this.#options;
    const shared = {
      readControls: boundStrangers(cacheSmtpdControls(clock)),
      envelopes: new MemoryBudget(ENVELOPE_BYTES_MAX),
      strangerEnvelopes: new MemoryBudget(ENVELOPE_BYTES_MAX),
    };
    const open = async (place: SmtpPlace, isLmtp: boolean) => {
      const listener = this.#create(isLmtp, shared);
      this.#listeners.push(listener);
      return listener.listen(place);
    };
    const bound: { smtp: SmtpPlace[]; lmtp: SmtpPlace[] } = { smtp: [], lmtp: [] };
    for (const place of places.smtp ?? []) bound.smtp.push(await open(place, false));
    for (const place of places.lmtp ?? []) bound.lmtp.push(await open(place, true));
    return bound;
  }

  /** Accepts nothing more, lets messages on their way in arrive for at most `graceMs`, ends the rest. */
  async close(graceMs: number): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.close(graceMs)));
  }

  #create(isLmtp: boolean, shared: Shared): SmtpListener {
    const { places, judge, ...common } = this.#options;
    const { smtpRules } = places;
    return new SmtpListener({
      ...common,
      ...shared,
      isLmtp,
      judge: smtpRules === undefined ? judgeByQmqpClients(judge) : judgeBySmtpRules(smtpRules),
      connectionCountMax: CONNECTION_COUNT_MAX,
      strangerCountMax: STRANGER_COUNT_MAX,
    });
  }
}

/** The same settings, but who may not send anywhere has fewer recipients and errors. */
function boundStrangers(read: ReadSmtpdControls): ReadSmtpdControls {
  return (home: string, env: Environment) => {
    const controls = read(home, env);
    if (env['RELAYCLIENT'] !== undefined) return controls;
    const { recipientCountMax, errorCountMax } = controls.extensions;
    const bounds = {
      recipientCountMax: Math.min(recipientCountMax, STRANGER_RECIPIENT_COUNT_MAX),
      errorCountMax: errorCountMax || STRANGER_ERROR_COUNT_MAX,
      commandLengthMax: STRANGER_COMMAND_LENGTH_MAX,
    };
    return { ...controls, extensions: { ...controls.extensions, ...bounds } };
  };
}

/** `HOST:PORT` or `unix:PATH`, any number with commas between; undefined if one is neither. */
export function parseSmtpPlaces(text: string): SmtpPlace[] | undefined {
  const places: SmtpPlace[] = [];
  for (const word of text.split(',')) {
    const path = word.startsWith(UNIX) ? word.slice(UNIX.length) : undefined;
    const place = path === undefined ? parseHostPort(word) : { path };
    if (place === undefined || path === '') return undefined;
    places.push(place);
  }
  return places;
}

/** The form that {@link parseSmtpPlaces} reads. */
export function formatSmtpPlace(place: SmtpPlace): string {
  return 'path' in place ? `${UNIX}${place.path}` : formatHostPort(place);
}
