// The line as one between two kernels' TCPs. The servers have a network namespace of their own, and so has the middle of the line, a
// process that keeps each packet as long as the line would; a VXLAN device at each end hands its packets to it. Everything but speed
// and delay is real: handshakes, acknowledgements, windows.

import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../../test/support/client-vectors.ts';
import type { LineTraffic } from './link-meter.ts';
import type { LinkSpeed } from './link-model.ts';
import type { SlowLink } from './slow-link.ts';

// Networks for benchmarks, RFC 2544.
const CLIENT_WIRE = ['198.18.28.1', '198.18.28.2'] as const;
const SERVER_WIRE = ['198.18.27.1', '198.18.27.2'] as const;
const CLIENT = { address: '198.18.29.1', link: '02:00:00:00:28:01' };
const SERVER = { address: '198.18.29.2', link: '02:00:00:00:28:02' };
const PORT = 8472;
/** For packets of 1,500 bytes and what they are wrapped in. */
const WIRE_MTU = '1600';

/** @throws Error that says what is in the way */
export async function openNamespaceLink(speed: LinkSpeed): Promise<SlowLink> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    throw new Error('only root on Linux may make networks');
  const name = `mq${process.pid}`;
  const [middle, far] = [`${name}m`, `${name}s`];
  let child: ChildProcess | undefined;
  const close = async () => {
    if (child?.connected) child.disconnect();
    // The devices in a namespace go with it, and with them their other ends.
    for (const space of [middle, far]) await ip('netns', 'del', space).catch(() => undefined);
    await ip('link', 'del', `${name}x`).catch(() => undefined);
  };
  try {
    for (const space of [middle, far]) {
      await ip('netns', 'add', space);
      await ip('-n', space, 'link', 'set', 'lo', 'up');
    }
    await addWire([], `${name}c`, CLIENT_WIRE, middle);
    await addWire(['-n', far], `${name}d`, [SERVER_WIRE[1], SERVER_WIRE[0]], middle);
    await addEnd([], `${name}x`, CLIENT_WIRE, CLIENT, SERVER);
    await addEnd(['-n', far], `${name}x`, [SERVER_WIRE[1], SERVER_WIRE[0]], SERVER, CLIENT);
    const started = await startMiddle(middle, speed);
    child = started;
    return {
      kind: 'real packets between two network namespaces',
      host: SERVER.address,
      command: ['ip', 'netns', 'exec', far],
      reach: async (port) => ({ host: SERVER.address, port }),
      take: async () => (await ask(started, 'take'))['traffic'] as LineTraffic,
      started: async () => void (await ask(started, 'started')),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function ip(...words: readonly string[]): Promise<void> {
  await promisify(execFile)('ip', words);
}

/** A wire between here, or the namespace that the options name, and the middle. @param addresses here and there */
async function addWire(
  options: readonly string[],
  device: string,
  [here, there]: readonly [string, string],
  middle: string,
): Promise<void> {
  const other = ['type', 'veth', 'peer', 'name', device, 'mtu', WIRE_MTU, 'netns', middle];
  await ip(...options, 'link', 'add', device, 'mtu', WIRE_MTU, ...other);
  await addAddress(options, device, here);
  await addAddress(['-n', middle], device, there);
}

async function addAddress(options: readonly string[], device: string, address: string): Promise<void> {
  await ip(...options, 'addr', 'add', `${address}/24`, 'dev', device);
  await ip(...options, 'link', 'set', device, 'up');
}

/** An end of the line, which sends what is for the other one to the middle. */
async function addEnd(
  options: readonly string[],
  device: string,
  [here, middle]: readonly [string, string],
  end: typeof CLIENT,
  other: typeof CLIENT,
): Promise<void> {
  const wrapped = ['type', 'vxlan', 'id', '28', 'local', here, 'remote', middle, 'dstport', String(PORT)];
  // One segment in a packet, as a modem would get them, and nobody is asked for addresses.
  const link = ['address', end.link, 'mtu', '1500', 'gso_max_segs', '1'];
  await ip(...options, 'link', 'add', device, ...link, ...wrapped);
  await ip(...options, 'link', 'set', device, 'addrgenmode', 'none');
  await addAddress(options, device, end.address);
  await ip(...options, 'neigh', 'replace', other.address, 'lladdr', other.link, 'dev', device);
}

async function startMiddle(space: string, { bitsPerSecond, delayMs }: LinkSpeed): Promise<ChildProcess> {
  const [[client, clientHere], [serverHere, server]] = [CLIENT_WIRE, SERVER_WIRE];
  const places = [clientHere, client, serverHere, server];
  const child = fork(
    join(ROOT, 'bench/support/link-process.ts'),
    [String(bitsPerSecond), String(delayMs), String(PORT), ...places],
    { execPath: 'ip', execArgv: ['netns', 'exec', space, process.execPath], stdio: 'inherit' },
  );
  const [first] = await Promise.race([once(child, 'message'), once(child, 'exit')]);
  if (typeof first !== 'object') throw new Error('the middle of the line could not be started');
  return child;
}

async function ask(child: ChildProcess, question: string): Promise<Record<string, unknown>> {
  const answered = once(child, 'message');
  child.send(question);
  return (await answered)[0] as Record<string, unknown>;
}
