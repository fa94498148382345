// The middle of a line between two kernels, in a network namespace of its own; link-namespace.ts starts it and asks it. Arguments:
// bits per second, delay in ms, the port of both devices, and of each end the address here and the one of the device.
// It passes on what the devices wrap in UDP, when a line of that speed would have brought it.

import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { SYSTEM_CLOCK } from '../../src/host/clock.ts';
import { fillTcpChecksum } from './ip-packet.ts';
import { LineMeter } from './link-meter.ts';
import type { SerialLink } from './link-model.ts';
import { ArrivalQueue } from './link-queue.ts';

/** VXLAN header and Ethernet header, which a modem would not send. */
const WRAPPING_BYTES = 8 + 14;

const [bits, delay, portText, clientHere = '', client = '', serverHere = '', server = ''] =
  process.argv.slice(2);
const port = Number(portText);
const meter = new LineMeter({ bitsPerSecond: Number(bits), delayMs: Number(delay) });

async function open(host: string): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(port, host);
  await once(socket, 'listening');
  return socket;
}

function pass(from: Socket, to: Socket, host: string, link: SerialLink, note: () => void): void {
  const onWay = new ArrivalQueue<Buffer>(SYSTEM_CLOCK, (packet) => to.send(packet, port, host));
  from.on('message', (packet) => {
    note();
    // The devices leave this to a card that is not there.
    fillTcpChecksum(packet.subarray(WRAPPING_BYTES));
    onWay.add(link.carry(SYSTEM_CLOCK.steadyMs(), packet.length - WRAPPING_BYTES), packet);
  });
}

const clientSocket = await open(clientHere);
const serverSocket = await open(serverHere);
pass(clientSocket, serverSocket, server, meter.up, () => meter.note());
pass(serverSocket, clientSocket, client, meter.down, () => undefined);
process.on('message', (question: 'take' | 'started') => {
  if (question === 'take') process.send!({ traffic: meter.take() });
  else void meter.started().then(() => process.send!({ started: true }));
});
process.on('disconnect', () => process.exit(0));
process.send!({ ready: true });
