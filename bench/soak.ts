// Does a hub under steady mixed load stay as it is, and account for every recipient?
//   node bench/soak.ts [--minutes 60] [--rate 500] [--drain 20]
// 2 KB messages mostly, some of 100 KB, lists of 1,000, recipients that are deferred, refused, or at a host that refuses connections;
// at a fixed rate of messages a second, whatever the hub does. One line each half minute; at the end everything has to be delivered or
// bounced within so many minutes, each recipient exactly once. Ends with 1 if not, or if memory or descriptors grew. TERM ends it early.
// Growth is judged over the last two thirds, of the lowest value in each half minute, so that garbage that waits to be collected does
// not count; in less than a quarter of an hour it is shown only.

import { readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { HubProcess, makeHome, removeHome } from '../test/support/hub-process.ts';
import { freePort } from '../test/support/peers.ts';
import { type HubStats, hubStats } from './support/hub-stats.ts';
import { fitLine } from './support/line-fit.ts';
import { pause } from './support/pause.ts';
import { descriptorCount, processorMs, residentBytes } from './support/process-use.ts';
import { QmqpTraffic } from './support/qmqp-traffic.ts';
import { Sink, type SinkCounts } from './support/sink.ts';

const SAMPLE_MS = 30_000;
const LOOK_MS = 1000;
const JUDGED_FROM_MINUTES = 15;
/** Growth in an hour, as a part of the mean, that is called flat; and how many standard errors are still chance. */
const FLAT = 0.05;
const CHANCE = 3;

interface Sample {
  readonly minute: number;
  /** The lowest in the half minute. */
  readonly rss: number;
  readonly descriptors: number;
}

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    rate: { type: 'string', default: '500' },
    drain: { type: 'string', default: '20' },
  },
});
const [minutes, rate, drainMinutes] = [values.minutes, values.rate, values.drain].map(Number) as [
  number,
  number,
  number,
];

async function startHub(): Promise<{ home: string; sink: Sink; hub: HubProcess }> {
  const sink = await Sink.start('127.0.0.2', '127.0.0.4');
  const home = makeHome({
    smtproutes: [
      `dead.example:127.0.0.3:${await freePort('127.0.0.3')}`,
      `later.example:127.0.0.4:${sink.ports[1]}`,
      `:127.0.0.2:${sink.ports[0]}`,
      '',
    ].join('\n'),
    // What is dead is given up soon enough for the account at the end. What comes later comes by the usual schedule, after 400 s.
    destinations: '127.0.0.3:lifetime=240,retry=60\n',
    eventbytes: `${256 << 20}\n`,
    // Each sender has one bounce here, and a hundred thousand of them come in an hour: they are not to wait.
    bouncerateall: '0\n',
  });
  return { home, sink, hub: await HubProcess.start(home, join(home, 'log')) };
}

function folderBytes(folder: string): number {
  return readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
    const size = statSync(join(folder, entry.name), { throwIfNoEntry: false })?.size ?? 0;
    return sum + (entry.isFile() ? size : 0);
  }, 0);
}

const MB = 1 << 20;
const HEADS = ['minute', 'msgs/s', 'p50 ms', 'p99 ms', 'max ms', 'again', 'queued', 'rcpts'].concat(
  ...['RSS MB', 'fds', 'journal', 'index MB', 'CPU %'],
);

function row(cells: readonly (string | number)[]): string {
  return cells.map((cell) => String(cell).padStart(9)).join('');
}

/** Watches the hub until the signal, a line each half minute. */
async function watch(
  home: string,
  pid: number,
  traffic: QmqpTraffic,
  signal: AbortSignal,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const startMs = performance.now();
  let [lastMs, lastCpu, lastAcknowledged] = [startMs, processorMs(pid), 0];
  console.log(row(HEADS));
  while (!signal.aborted) {
    let [rss, descriptors] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    while (performance.now() - lastMs < SAMPLE_MS && !signal.aborted) {
      await pause(LOOK_MS);
      rss = Math.min(rss, residentBytes(pid));
      descriptors = Math.min(descriptors, descriptorCount(pid));
    }
    const [nowMs, cpu] = [performance.now(), processorMs(pid)];
    const minute = (nowMs - startMs) / 60_000;
    const latencies = traffic.latencies.sort((a, b) => a - b);
    traffic.latencies = [];
    const at = (part: number) => (latencies[Math.floor(part * (latencies.length - 1))] ?? 0).toFixed(1);
    const { messages, recipients } = await hubStats(home);
    const perSecond = ((traffic.acknowledged - lastAcknowledged) * 1000) / (nowMs - lastMs);
    console.log(
      row([
        ...[minute.toFixed(1), perSecond.toFixed(0), at(0.5), at(0.99), at(1), traffic.retries],
        ...[messages, recipients.queued, (rss / MB).toFixed(1), descriptors],
        (folderBytes(join(home, 'queue/journal')) / MB).toFixed(0),
        (folderBytes(join(home, 'queue')) / MB).toFixed(0),
        ((100 * (cpu - lastCpu)) / (nowMs - lastMs)).toFixed(0),
      ]),
    );
    samples.push({ minute, rss, descriptors });
    [lastMs, lastCpu, lastAcknowledged] = [nowMs, cpu, traffic.acknowledged];
    // Nobody reads it, and an hour of it is large.
    truncateSync(join(home, 'log'));
  }
  return samples;
}

/** Waits until the queue is empty. @returns what is left in it */
async function drain(home: string, hub: HubProcess): Promise<HubStats> {
  const endMs = performance.now() + drainMinutes * 60_000;
  for (;;) {
    const stats = await hubStats(home);
    if (stats.messages === 0 || performance.now() > endMs) return stats;
    process.kill(hub.pid, 'SIGALRM');
    await pause(5000);
  }
}

/** Compares what was acknowledged with what came out. @returns whether nothing is lost, and nothing came twice */
function account(traffic: QmqpTraffic, counts: SinkCounts, { recipients: tally }: HubStats): boolean {
  const { wanted } = traffic;
  const wrong = { lost: 0, twice: 0, 'on the wrong way': 0, 'not acknowledged': 0 };
  for (const [number, want] of wanted.entries()) {
    const [delivered, bounced] = [counts.delivered[number]!, counts.bounced[number]!];
    if (want === 0) wrong['not acknowledged']++;
    else if (delivered + bounced === 0) wrong.lost++;
    else if (delivered + bounced > 1) wrong.twice++;
    else if (delivered !== (want === 1 ? 1 : 0)) wrong['on the wrong way']++;
  }
  // What is still queued is not lost; the queue's own account says how much that is, some of it notices.
  const lost = Math.max(0, wrong.lost - tally.queued);
  const sum = tally.delivered + tally.failed + tally.removed + tally.queued;
  console.log(
    `  ${traffic.acknowledged} messages to ${traffic.recipients} recipients; submitted again ${traffic.retries} times ${traffic.lastTrouble}`,
  );
  console.log(
    `  the hub's account: ${tally.accepted} recipients with its own notices = ${tally.delivered} delivered + ${tally.failed} failed + ${tally.queued} queued${sum === tally.accepted ? '' : ' DOES NOT ADD UP'}`,
  );
  console.log(`  by number: ${JSON.stringify({ ...wrong, lost })}`);
  const isRight = lost === 0 && wrong.twice === 0 && wrong['on the wrong way'] === 0;
  console.log(
    `  ${isRight ? 'each recipient exactly once' : 'THE ACCOUNT IS WRONG'}${tally.queued > 0 ? `; ${tally.queued} STILL QUEUED` : ''}`,
  );
  return isRight && sum === tally.accepted && tally.queued === 0;
}

/** Prints the growth of one value. @returns whether it is flat, or chance may have made it */
function judge(what: string, points: readonly (readonly [number, number])[], unit: number): boolean {
  if (points.length < 3) return true;
  const { mean, slope, error } = fitLine(points);
  const [perHour, errorPerHour] = [slope * 60, error * 60];
  const isFlat = perHour <= mean * FLAT || perHour <= errorPerHour * CHANCE;
  const number = (value: number) => (value / unit).toFixed(2);
  console.log(
    `  ${what}: mean ${number(mean)}, growth ${number(perHour)} an hour (${((100 * perHour) / mean).toFixed(1)} %), standard error ${number(errorPerHour)}: ${isFlat ? 'flat' : 'GROWS'}`,
  );
  return isFlat;
}

console.log(`soak: ${rate} messages a second for ${minutes} minutes`);
const { home, sink, hub } = await startHub();
const traffic = new QmqpTraffic(hub.port, rate);
const ending = new AbortController();
process.once('SIGTERM', () => ending.abort());
const timer = setTimeout(() => ending.abort(), minutes * 60_000);
try {
  const sent = traffic.run(ending.signal);
  const samples = await watch(home, hub.pid, traffic, ending.signal);
  clearTimeout(timer);
  await sent;
  console.log('draining');
  const left = await drain(home, hub);
  const isAccounted = account(traffic, await sink.counts(traffic.wanted.length), left);
  const judged = samples.slice(Math.floor(samples.length / 3));
  const rss = judged.map(({ minute, rss }) => [minute, rss] as const);
  const descriptors = judged.map(({ minute, descriptors }) => [minute, descriptors] as const);
  const isFlat = [judge('RSS, MB', rss, MB), judge('descriptors', descriptors, 1)].every(Boolean);
  const isLong = (samples.at(-1)?.minute ?? 0) >= JUDGED_FROM_MINUTES;
  if (!isLong) console.log('  too short to judge growth by');
  process.exitCode = isAccounted && (isFlat || !isLong) ? 0 : 1;
} finally {
  await hub.end();
  await sink.stop();
  removeHome(home);
}
