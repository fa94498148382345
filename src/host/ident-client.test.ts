import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { textOf } from '../core/bytes/bytes.ts';
import { askIdent } from './ident-client.ts';
import { ManualClock } from './manual-clock.ts';

/** What askIdent() says with a server that answers so; `null` lets the time run out. */
async function ask(
  answer: string | null,
): Promise<{ info: string | undefined; query: string; from: string }> {
  const clock = new ManualClock();
  let [query, from] = ['', ''];
  const server = createServer((socket) => {
    from = socket.remoteAddress ?? '';
    socket.on('error', () => {});
    socket.once('data', (bytes: Buffer) => {
      query = bytes.toString();
      if (answer === null) clock.advance(26_000);
      else socket.end(answer, 'latin1');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: identPort } = server.address() as { port: number };
  const ports = { localPort: 25, remotePort: 4711, identPort };
  const ends = { localIp: '127.0.0.9', remoteIp: '127.0.0.1' };
  const info = await askIdent({ ...ends, ...ports, timeoutMs: 26_000, clock });
  server.close();
  await once(server, 'close');
  return { info: info && textOf(info), query, from };
}

test('askIdent() asks from the local end of the connection', async () => {
  assert.deepEqual(await ask('4711,25:USERID:UNIX:joe\xe9\r\n'), {
    info: 'joe\xe9',
    query: '4711 , 25\r\n',
    from: '127.0.0.9',
  });
});

test('askIdent() has no answer from a server that breaks off, takes too long, or is not there', async () => {
  assert.equal((await ask('4711,25:USERID:UNIX:joe')).info, undefined);
  assert.equal((await ask(null)).info, undefined);
  const ends = { localIp: '127.0.0.1', localPort: 25, remoteIp: '127.0.0.1', remotePort: 4711 };
  assert.equal(
    await askIdent({ ...ends, identPort: 1, timeoutMs: 1000, clock: new ManualClock() }),
    undefined,
  );
});
