// The listener on real sockets, in time that stands still.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { textOf } from '../core/bytes/bytes.ts';
import { createLineLog } from '../host/log.ts';
import { ManualClock } from '../host/manual-clock.ts';
import { RecipientListener, type RecipientListenerOptions } from './recipient-listener.ts';

let clock: ManualClock;
let logText: string;
let listener: RecipientListener;
let port: number;
let sockets: Socket[];

async function listen(options: Partial<RecipientListenerOptions> = {}): Promise<void> {
  listener = new RecipientListener({
    takes: (recipient) => textOf(recipient) === 'ann@hub.example',
    judge: () => ({ allow: true }),
    connectionCountMax: 10,
    idleMs: 300_000,
    clock,
    log: createLineLog((line) => {
      logText += line;
    }),
    ...options,
  });
  ({ port } = await listener.listen({ host: '127.0.0.1', port: 0 }));
}

beforeEach(() => {
  clock = new ManualClock();
  logText = '';
  sockets = [];
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await listener.close();
  assert.equal(clock.nextTimerMs(), undefined, 'a timer is left');
});

function open(): Socket {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true }).setEncoding('latin1');
  socket.on('error', () => undefined);
  sockets.push(socket);
  return socket;
}

/** Everything that comes until the listener ends the connection. */
async function untilClosed(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (more: string) => {
    text += more;
  });
  await Promise.race([once(socket, 'end'), once(socket, 'close')]);
  return text;
}

const ANN = '25:recipient ann@hub.example,';

test('a client asks any number of questions, has an answer to each, and leaves', async () => {
  await listen();
  const socket = open();
  socket.end(`${ANN}25:recipient eve@hub.example,17:ann@hub.example x,${ANN}`);
  assert.equal(
    await untilClosed(socket),
    '8:OK taken,9:NOTFOUND ,34:PERM no other map than "recipient",8:OK taken,',
  );
  assert.equal(logText, '');
});

test('a client stays as long as it asks, and is sent away when it does not', async () => {
  await listen({ idleMs: 1000 });
  const socket = open();
  for (let i = 0; i < 3; i++) {
    socket.write(ANN);
    assert.equal((await once(socket, 'data'))[0], '8:OK taken,');
    clock.advance(999);
  }
  const closed = untilClosed(socket);
  clock.advance(1);
  assert.equal(await closed, '');
});

test('a host that may not ask is sent away before it is read, and logged', async () => {
  await listen({ judge: () => ({ allow: false, reason: 'not at home' }) });
  const socket = open();
  assert.equal(await untilClosed(socket), '');
  assert.equal(logText, 'check.refused ip=127.0.0.1 reason="not at home"\n');
});

test('what is no question ends the connection, with the answers before it', async () => {
  await listen();
  const socket = open();
  socket.write(`${ANN}EHLO x\r\n`);
  assert.equal(await untilClosed(socket), '8:OK taken,');
  assert.equal(logText, 'check.lost ip=127.0.0.1 reason="malformed-query while reading a query"\n');
});

test('trouble is no answer that would refuse anybody, and is logged', async () => {
  await listen({ takes: () => assert.fail('no such file') });
  const socket = open();
  socket.end(ANN);
  assert.equal(await untilClosed(socket), '30:TEMP recipients cannot be read,');
  assert.equal(logText, 'check.trouble recipient=ann@hub.example reason="no such file"\n');
});

test('a client that does not read is not read from without end, and loses nothing', async () => {
  let asked = 0;
  await listen({ takes: () => ++asked > 0 });
  const socket = open();
  socket.pause();
  const count = 400_000;
  const all = ANN.repeat(count);
  socket.end(all);
  // Until neither side moves any more: what is under way is then all that fits between the two.
  for (let last = -1, same = 0; same < 50; last = asked) {
    await new Promise(setImmediate);
    same = asked === last && asked > 0 ? same + 1 : 0;
  }
  assert.ok(asked < count, `${asked}`);
  const closed = untilClosed(socket);
  socket.resume();
  const text = await closed;
  assert.equal(text.length, '8:OK taken,'.length * count);
  assert.equal(asked, count);
});

test('close() ends connections that are open', async () => {
  await listen();
  const socket = open();
  await once(socket, 'connect');
  socket.write(ANN);
  await once(socket, 'data');
  await Promise.all([untilClosed(socket), listener.close()]);
});

test('listen() fails when the address is taken', async () => {
  await listen();
  const second = new RecipientListener({
    takes: () => true,
    judge: () => ({ allow: true }),
    ...{ connectionCountMax: 1, idleMs: 1, clock, log: createLineLog(() => undefined) },
  });
  await assert.rejects(second.listen({ host: '127.0.0.1', port }), { code: 'EADDRINUSE' });
});
