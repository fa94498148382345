// `mini-qmail demo`: the whole round trip on real programs and a real disk, each step with its time. Works in a folder of
// its own under the system's temporary folder, which is removed at the end.

import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SYSTEM_CLOCK } from '../host/clock.ts';
import type { Log } from '../host/log.ts';
import { reasonOf } from '../host/system-error.ts';
import { Hub } from './hub.ts';
import { prepareHome, writeServers } from './start-home.ts';

const MESSAGE = 'Subject: mini-qmail demo\n\nFrom sendmail through the hub into a Maildir.\n';
const DELIVERY_WAIT_MS = 20_000;

/** Events of the hub's log by name, with the time they came. */
class EventTimes {
  readonly #times = new Map<string, number>();
  #waiting: { event: string; resolve: () => void } | undefined;
  readonly log: Log = {
    write: (event) => {
      this.#times.set(event, performance.now());
      if (this.#waiting?.event === event) this.#waiting.resolve();
    },
  };

  at(event: string): number | undefined {
    return this.#times.get(event);
  }

  /** Resolves when the event has come; rejects when it does not come in time. */
  wait(event: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const callOff = SYSTEM_CLOCK.after(DELIVERY_WAIT_MS, () =>
        reject(new Error(`no ${event} within ${DELIVERY_WAIT_MS} ms`)),
      );
      const done = () => {
        callOff();
        resolve();
      };
      this.#waiting = { event, resolve: done };
      if (this.#times.has(event)) done();
    });
  }
}

/** Runs the demonstration; prints a line per step. @returns the exit code */
export async function runDemo({ sendmail }: { sendmail: string }): Promise<number> {
  const home = await mkdtemp(join(tmpdir(), 'mini-qmail-demo-'));
  const events = new EventTimes();
  let hub: Hub | undefined;
  try {
    const me = prepareHome(home);
    hub = await Hub.start({
      home,
      qmqp: { host: '127.0.0.1', port: 0 },
      clock: SYSTEM_CLOCK,
      log: events.log,
      onRequest: () => events.log.write('request', {}),
    });
    writeServers(home, hub.qmqp);
    await showRoundTrip({ home, me, sendmail, events, port: hub.qmqp.port });
    return 0;
  } catch (error) {
    process.stderr.write(`mini-qmail demo: fatal: ${reasonOf(error)}\n`);
    return 111;
  } finally {
    await hub?.stop();
    await rm(home, { recursive: true, force: true });
  }
}

async function showRoundTrip(parts: {
  home: string;
  me: string;
  sendmail: string;
  events: EventTimes;
  port: number;
}): Promise<void> {
  const { home, me, sendmail, events, port } = parts;
  const start = performance.now();
  const show = (step: string, at: number, what: string) => {
    process.stdout.write(`${step.padEnd(10)} ${(at - start).toFixed(1).padStart(7)} ms  ${what}\n`);
  };
  process.stdout.write(`hub on 127.0.0.1 port ${port}, state in ${home}\n\n`);
  show('compose', start, `sendmail you  < ${MESSAGE.length} bytes on standard input`);
  await runSendmail(sendmail, home);
  await events.wait('delivery.success');
  show('submit', events.at('request')!, 'sendmail hands the completed message to the hub, one round trip');
  show('committed', events.at('accepted')!, 'message and envelope on stable storage; the hub answers K');
  show('delivered', events.at('delivery.success')!, `to the Maildir of you@${me}`);
  const folder = join(home, 'mail', me.toLowerCase(), 'you', 'new');
  const [name] = await readdir(folder);
  const file = join(folder, name!);
  show('file', performance.now(), file);
  process.stdout.write(`\n${(await readFile(file, 'latin1')).replaceAll(/^/gm, '    ').trimEnd()}\n`);
}

function runSendmail(sendmail: string, home: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, QMAILHOME: home };
    const child = spawn(sendmail, ['you'], { env, stdio: ['pipe', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`sendmail ended with ${code}`))));
    child.stdin.end(MESSAGE);
  });
}
