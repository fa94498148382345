// Start-up of the programs that run once per message. A bundle is compiled by V8 at every start, function by function as
// they are called; a code cache, taken after one real hand-over, has them compiled. It only ever saves time: a program whose
// cache is missing, damaged or made by another V8 compiles as usual. Figures and limits: docs/decisions/006-code-cache.md.

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const WARM_RUN = fileURLToPath(new URL('warm-run.mjs', import.meta.url));
const WARM_RUN_MAX_MS = 5_000;
const MESSAGE = 'To: hub@localhost\nSubject: warm run of the build\n\nNobody reads this.\n';
const ENVELOPE = 'Fbuild@localhost\0Thub@localhost\0\0';
const REQUEST = netstring(netstring(MESSAGE) + netstring('build@localhost') + netstring('hub@localhost'));

const SMTP_SESSION = [
  ...['EHLO localhost', 'MAIL FROM:<build@localhost>', 'RCPT TO:<hub@localhost>', 'DATA'],
  ...MESSAGE.split('\n').slice(0, -1),
  ...['.', 'QUIT', ''],
].join('\r\n');

/** Program to its warm run: arguments, and the bytes on descriptors 0 and 1 (read from there by qmail-qmqpc). */
const WARM_RUNS = {
  sendmail: { args: ['-t'], input: MESSAGE },
  'qmail-inject': { args: [], input: MESSAGE },
  'qmail-qmqpc': { args: [], input: MESSAGE, envelope: ENVELOPE },
  'qmail-qmqpd': { args: [], input: REQUEST },
  'qmail-smtpd': { args: [], input: SMTP_SESSION },
};

function netstring(text) {
  return `${text.length}:${text},`;
}

/** Whether the build makes a code cache for that program. */
export function hasCodeCache(name) {
  return name in WARM_RUNS;
}

const WRAPPER = ['(function(exports,require,module,__filename,__dirname){', '\n})'];

/**
 * A CommonJS bundle made an expression, as Node's own loader does. In the file already: a string that is put together at the
 * start is in memory twice, and enough of that makes V8 collect garbage before the message is handed over.
 */
export function asExpression(contents) {
  return Buffer.concat([Buffer.from(WRAPPER[0]), contents, Buffer.from(WRAPPER[1])]);
}

/**
 * The file that a launcher runs: loads the bundle and the cache of these names beside it. The names hold a hash of the
 * bundle, because V8 compares no more of the source than its length.
 */
export function startFile({ bundle, cache }) {
  return `// Runs ${bundle} with V8's code cache for it, or without. Made by the build.
'use strict';
const { readFileSync } = require('node:fs');
const { Script } = require('node:vm');
const filename = \`\${__dirname}/${bundle}\`;
let cachedData;
try {
  // V8 does not notice damage and would run it; so the cache is there twice, and both copies must agree.
  const twice = readFileSync(\`\${__dirname}/${cache}\`);
  const half = twice.length >> 1;
  if (half > 0 && twice.subarray(0, half).equals(twice.subarray(half))) cachedData = twice.subarray(0, half);
} catch {}
const source = readFileSync(filename, 'latin1');
new Script(source, { filename, cachedData }).runInThisContext()(exports, require, module, filename, __dirname);
`;
}

/**
 * Runs each program once, handing a message to a server in this process, and leaves its code cache at `cache`. Needs nothing
 * but the loopback interface; what cannot be made is left out and said on standard error. Never rejects.
 * @param programs name, launcher, bundle and cache of each, as absolute paths
 */
export async function makeCodeCaches(interpreter, programs) {
  let server;
  let home;
  try {
    server = await startServer();
    home = mkdtempSync(join(tmpdir(), 'mini-qmail-build-'));
    mkdirSync(join(home, 'control'));
    writeFileSync(join(home, 'control/me'), 'localhost\n');
    writeFileSync(join(home, 'control/qmqpservers'), `qmqp://127.0.0.1:${server.address().port}\n`);
    await Promise.all(programs.map((program) => makeCodeCache(interpreter, home, program)));
  } catch (error) {
    console.error(`Built without code caches: ${error.message}`);
  } finally {
    server?.close();
    if (home !== undefined) rmSync(home, { recursive: true, force: true });
  }
}

async function makeCodeCache(interpreter, home, { name, launcher, bundle, cache }) {
  const { args, input, envelope } = WARM_RUNS[name];
  const child = spawn(interpreter, [WARM_RUN, bundle, cache, launcher, ...args], {
    env: { QMAILHOME: home, USER: 'build' },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: WARM_RUN_MAX_MS,
    killSignal: 'SIGKILL',
  });
  let complaint = '';
  child.stderr.on('data', (text) => {
    complaint += text;
  });
  for (const stream of [child.stdin, child.stdout]) stream.on('error', () => {});
  child.stdin.end(input);
  // Pipes of a child are socket pairs, which can be written to from this side.
  if (envelope === undefined) child.stdout.resume();
  else child.stdout.end(envelope);
  const end = await new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) => resolve(code ?? signal));
  });
  if (end !== 0) console.error(`Built ${name} without a code cache: its run ended with ${end} ${complaint}`);
}

/** A QMQP server that takes everything, on a free port of this host. */
function startServer() {
  const server = createServer((socket) => {
    let request = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      request = Buffer.concat([request, bytes]);
      const colon = request.indexOf(':');
      if (colon > 0 && request.length >= colon + Number(request.toString('latin1', 0, colon)) + 2) {
        socket.end('2:Kk,');
      }
    });
  });
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen({ host: '127.0.0.1', port: 0 }, () => resolve(server));
  });
}
