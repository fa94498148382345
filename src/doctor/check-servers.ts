// The servers that mail of this host goes to: what the list says, whether names are known, whether each of them answers and would
// take mail from here. Nothing is sent that could be a message, see probe-server.ts.

import type { ServerAddress } from '../core/format/server-list.ts';
import { formatPlace, isName } from '../core/format/server-list-place.ts';
import { reasonOf } from '../host/system-error.ts';
import { type ListedEntry, listServerEntries } from '../setup/explain-route.ts';
import { showBytes } from '../setup/show-bytes.ts';
import { judgeDates } from './check-certificates.ts';
import { within } from './deadline.ts';
import { type Finding, Findings } from './finding.ts';
import type { LookUp } from './host-names.ts';
import type { Installation } from './installation.ts';
import type { ProbeResult } from './probe-server.ts';

/** One server that is slow at everything must not hide what was found of the others. */
const SERVER_MS = 11_000;
const TOO_LATE = `is slow at everything: nothing is known after ${SERVER_MS / 1000} seconds`;

/** Tries one address of a server. */
export type Probe = (server: ServerAddress, host: string) => Promise<ProbeResult>;

/** What the check asks of others. */
export interface ServerQuestions {
  readonly lookUp: LookUp;
  readonly probe: Probe;
}

/** What the list of servers says; undefined if it cannot be read, which is told. */
export interface ServerList {
  readonly findings: readonly Finding[];
  readonly servers: readonly { readonly where: string; readonly server: ServerAddress }[];
}

/** Reads the list and judges it. */
export function checkServerList({ home, env, roles }: Installation): ServerList {
  const found = new Findings('servers');
  const source = env['QMQPSERVERS'] ? 'QMQPSERVERS' : 'control/qmqpservers';
  let entries: ListedEntry[];
  try {
    entries = listServerEntries(home, env['QMQPSERVERS']);
  } catch (error) {
    found.error(source, reasonOf(error), `chmod a+r ${home}/control/qmqpservers`);
    return { findings: found.list, servers: [] };
  }
  for (const entry of entries) judgeEntry(entry, found);
  const servers = entries.flatMap(({ where, entry }) =>
    'server' in entry ? [{ where, server: entry.server }] : [],
  );
  judgeWhole(source, servers, roles, found);
  return { findings: found.list, servers };
}

function judgeEntry({ text, where, entry }: ListedEntry, found: Findings): void {
  const shown = showBytes(text);
  if ('skipped' in entry) {
    const remedy = 'write an address such as 192.0.2.1, or qmqp://HOST:PORT, see qmail-qmqpc(8)';
    found.warning(where, `"${shown}" is passed over: ${entry.skipped}`, remedy);
    return;
  }
  if (entry.hasComment) {
    const remedy = `write qmqp://${entry.server.host}:PORT if another port is meant`;
    found.note(where, `"${shown}": what follows the address is ignored, the port is 628`, remedy);
  }
  if (entry.server.gzip && entry.server.hub === undefined) {
    const seen = 'gzip is understood by hubs of mini-qmail only, and this line does not say hub';
    found.note(where, seen, 'add the word hub to the line if it is one');
  }
}

function judgeWhole(
  source: string,
  servers: ServerList['servers'],
  roles: Installation['roles'],
  found: Findings,
): void {
  const places = servers.map(({ server }) => nameOf(server));
  const twice = places.filter((place, i) => places.indexOf(place) !== i);
  for (const place of new Set(twice)) found.note(source, `${place} is there more than once`);
  if (servers.length === 1)
    found.note(source, 'names one server: while that is down, no mail can be sent', 'add a second line');
  if (servers.length > 0) return;
  const remedy = 'echo 192.0.2.1 > control/qmqpservers, with the address of your server';
  // A hub's own programs give mail to it directly.
  if (roles.every((role) => role === 'hub')) return;
  found.error(source, 'has no usable server: no mail can be sent', remedy);
}

/** Tries every server, all at the same time. */
export async function checkServers(
  { servers }: Pick<ServerList, 'servers'>,
  questions: ServerQuestions,
): Promise<Finding[]> {
  const found = new Findings('servers');
  const attempts = servers.map(async ({ server }) => ({
    server,
    results: await within(tryServer(server, questions), SERVER_MS, TOO_LATE),
  }));
  const tried = await Promise.all(attempts);
  const isUsable = ({ results }: (typeof tried)[number]) =>
    typeof results !== 'string' && results.some(({ result }) => result.kind === 'takes-mail');
  const isServed = tried.some(isUsable);
  for (const { server, results } of tried) {
    const place = nameOf(server);
    if (typeof results === 'string') {
      tell(found, isServed, place, results, 'mend its name in DNS, or write an address in its place');
      continue;
    }
    for (const { host, result } of results) {
      const at = results.length > 1 ? `at ${host} it ` : '';
      if (result.kind === 'takes-mail') {
        const how = server.tls === undefined ? '' : ' by TLS';
        found.ok(
          place,
          `${at}takes mail from here${how}, ${Math.max(1, Math.round(result.connectMs))} ms away`,
        );
        if (result.certificate) found.list.push(judgeDates(place, result.certificate, Date.now()));
      } else tell(found, isServed, place, `${at}${describe(result)}`, remedyFor(result, server));
    }
  }
  return found.list;
}

/** As the list may name it, without its options. */
function nameOf(server: ServerAddress): string {
  const place = formatPlace(server);
  return server.tls === undefined ? place : place.replace('qmqp:', 'qmqps:');
}

/** While one server takes mail, trouble with another is not yet one of the users. */
function tell(found: Findings, isServed: boolean, place: string, seen: string, remedy: string): void {
  if (isServed) found.warning(place, seen, remedy);
  else found.error(place, seen, remedy);
}

interface TriedAddress {
  readonly host: string;
  readonly result: ProbeResult;
}

/** The result for each address; or why there is none. */
async function tryServer(
  server: ServerAddress,
  questions: ServerQuestions,
): Promise<TriedAddress[] | string> {
  let hosts: readonly string[] = [server.path ?? server.host];
  if (isName(server)) {
    const answer = await questions.lookUp(server.host);
    if (answer === 'none') return `the name ${server.host} has no address`;
    if ('failed' in answer) return `the name ${server.host} cannot be looked up: ${answer.failed}`;
    hosts = answer.addresses;
  }
  return Promise.all(hosts.map(async (host) => ({ host, result: await questions.probe(server, host) })));
}

function describe(result: Exclude<ProbeResult, { kind: 'takes-mail' }>): string {
  switch (result.kind) {
    case 'unreachable':
      return `cannot be reached: ${result.reason}`;
    case 'closed-at-once':
      return 'closes the connection at once: its rules deny this host, or it is full';
    case 'refused':
      return `refuses: ${result.text}`;
    case 'not-qmqp':
      return `does not speak QMQP: it says "${result.text}"`;
    case 'silent':
      return 'takes the connection and does not answer';
    case 'tls-failed':
      return `cannot be trusted or used by TLS: ${result.reason}`;
  }
}

function remedyFor(result: ProbeResult, { host, port, path }: ServerAddress): string {
  switch (result.kind) {
    case 'unreachable':
      return path === undefined
        ? `start the server, or open the way to port ${port} of ${host}`
        : 'start the server';
    case 'closed-at-once':
      return 'on the server, put the address of this host into control/qmqpclients or its rules; if it demands TLS, write qmqps://';
    case 'refused':
      if (result.text.includes('certificate'))
        return 'have the hub sign a new one: mini-qmail identity new, then mini-qmail identity sign';
      return /\bTLS\b/.test(result.text)
        ? `write qmqps://${host}:${port} in its place, see mini-qmail-identity(8)`
        : 'look into the log of the server';
    case 'not-qmqp':
      return 'write the address and port of a QMQP server in its place';
    case 'tls-failed':
      return 'compare ca=, cert=, key= and name= of the line with control/tls of the hub';
    default:
      return 'look into the log of the server';
  }
}
