import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { connect as connectTls, createSecureContext } from 'node:tls';
import { makeCertificate, type TestCertificate } from '../../test/support/certificate.ts';
import { missingPeers } from '../../test/support/peers.ts';
import { SYSTEM_CLOCK } from './clock.ts';
import { ManualClock } from './manual-clock.ts';
import { openSocketInputOutput } from './socket-io.ts';

const skip = missingPeers('openssl');
let certificate: TestCertificate | undefined;
let client: Socket;
let server: Socket;

before(() => {
  if (skip === false) certificate = makeCertificate('mx.example.org');
});
after(() => certificate?.remove());

beforeEach(async () => {
  const listener = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const accepted = once(listener, 'connection') as Promise<Socket[]>;
  client = connect((listener.address() as { port: number }).port, '127.0.0.1');
  client.on('error', () => {});
  server = (await accepted)[0]!;
  listener.close();
});
afterEach(() => {
  client.destroy();
  server.destroy();
});

test('openSocketInputOutput() reads and writes a connection whose client has ended its side', async () => {
  const { input, output } = openSocketInputOutput(server);
  client.end('request');
  assert.equal(String(await input.read()), 'request');
  assert.equal(await input.read(), undefined);
  assert.equal(await output.write([Buffer.from('re'), Buffer.from('ply')]), true);
  assert.equal(String((await once(client, 'data'))[0]), 'reply');
});

test('openSocketInputOutput() lets a client that sends without end wait', async () => {
  const { input } = openSocketInputOutput(server);
  client.write(Buffer.alloc(64_000_000));
  assert.ok(await input.read());
  for (let i = 0; i < 100; i++) await new Promise(setImmediate);
  assert.ok(server.bytesRead < 1_000_000, `${server.bytesRead} bytes read`);
});

test('openSocketInputOutput() writes no more than a client reads, and says so when it goes', async () => {
  const { output } = openSocketInputOutput(server);
  client.pause();
  let isOver = false;
  const written = output.write([Buffer.alloc(64_000_000)]).then((isWritten) => {
    isOver = true;
    return isWritten;
  });
  for (let i = 0; i < 100; i++) await new Promise(setImmediate);
  assert.equal(isOver, false);
  client.destroy();
  assert.equal(await written, false);
});

test('close() delivers the last words to a client that is still sending', async () => {
  const { input, output, close } = openSocketInputOutput(server);
  client.write(Buffer.alloc(3_000_000));
  await input.read();
  await output.write([Buffer.from('bye')]);
  const said = once(client, 'data');
  const ended = once(client, 'end');
  const closed = close(SYSTEM_CLOCK);
  assert.equal(String((await said)[0]), 'bye');
  await ended;
  await closed;
});

test('close() waits one second for a client that does not close, and no longer', async () => {
  const clock = new ManualClock();
  const { close } = openSocketInputOutput(server);
  // Half open, it stays so.
  client.allowHalfOpen = true;
  const closed = close(clock);
  assert.equal(server.destroyed, false);
  clock.advance(1000);
  await closed;
  assert.equal(server.destroyed, true);
  assert.equal(clock.nextTimerMs(), undefined);
  await close(clock);
});

test('startTls() encrypts both ways behind the same input and output', { skip }, async () => {
  const { input, output, startTls, close } = openSocketInputOutput(server);
  client.write('STARTTLS');
  assert.equal(String(await input.read()), 'STARTTLS');
  await output.write([Buffer.from('220')]);
  await once(client, 'data');
  const started = startTls(createSecureContext(certificate!));
  const secure = connectTls({ socket: client, ca: certificate!.cert, servername: 'mx.example.org' });
  await once(secure, 'secureConnect');
  assert.equal((await started)?.version, 'TLSv1.3');
  secure.write('EHLO');
  assert.equal(String(await input.read()), 'EHLO');
  await output.write([Buffer.from('250')]);
  assert.equal(String((await once(secure, 'data'))[0]), '250');
  secure.end();
  assert.equal(await input.read(), undefined);
  await close(SYSTEM_CLOCK);
});

for (const [name, sent] of [
  ['text', 'MAIL FROM:<a@b.example>\r\n'],
  ['nothing', ''],
] as const) {
  test(`startTls() fails when the client sends ${name} in place of a handshake`, { skip }, async () => {
    const { input, startTls } = openSocketInputOutput(server);
    client.write('x');
    await input.read();
    const started = startTls(createSecureContext(certificate!));
    client.end(sent);
    assert.equal(await started, undefined);
    assert.equal(await input.read(), undefined);
  });
}
