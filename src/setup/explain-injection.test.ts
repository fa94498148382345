// What explain says is what the programs do: for every recorded case of qmail-inject and sendmail, header and envelope are
// those that the original handed over, and each recipient in the explanation stands in the envelope, in its order.

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, it } from 'node:test';
import {
  type ClientCase,
  type PreparedCase,
  prepareCase,
  readClientCases,
} from '../../test/support/client-vectors.ts';
import {
  expandBytes,
  matchesBytes,
  type Placeholders,
  timePlaceholders,
} from '../../test/support/vector-bytes.ts';
import { textOf } from '../core/bytes/bytes.ts';
import { Environment } from '../host/raw-arguments.ts';
import { SystemError } from '../host/system-error.ts';
import { explain } from './explain-command.ts';
import { type ExplainedInjection, explainInjection } from './explain-injection.ts';

const FOLDER = process.cwd();

interface Explained {
  readonly injection: ExplainedInjection;
  readonly moments: readonly Placeholders[];
  readonly prepared: PreparedCase;
  readonly env: Environment;
  readonly body: Buffer;
}

async function explainCase(vector: ClientCase, prepared: PreparedCase): Promise<Explained> {
  const env = new Environment({ QMAILHOME: prepared.home });
  const bytesFor = (value: ClientCase['stdin']) => expandBytes(value ?? '', prepared.placeholders);
  for (const [name, value] of Object.entries(vector.env)) env.set(name, bytesFor(value));
  const message = bytesFor(vector.stdin);
  const isUnreadable = vector.stdin_closed === true || vector.stdin_dir === true;
  let at = 0;
  process.chdir(prepared.cwd);
  const startSeconds = Math.floor(Date.now() / 1000);
  const injection = await explainInjection({
    program: vector.program as 'sendmail' | 'qmail-inject',
    args: (vector.args ?? []).map(bytesFor),
    env,
    home: vector.home_missing === true ? `${prepared.home}-missing` : prepared.home,
    ownBin: dirname(prepared.path),
    readInput(buffer) {
      if (isUnreadable) throw new SystemError('read', 'standard input', new Error('EISDIR'));
      // Odd pieces, so that no case depends on where the input is cut.
      const count = Math.min(7001, buffer.length, message.length - at);
      buffer.set(message.subarray(at, at + count));
      at += count;
      return count;
    },
  });
  const moments: Placeholders[] = [];
  for (let seconds = startSeconds; seconds <= Math.floor(Date.now() / 1000); seconds++) {
    moments.push({ ...prepared.placeholders, ...timePlaceholders(seconds), PID: String(process.pid) });
  }
  return { injection, moments, prepared, env, body: message };
}

/** Compares an explanation with what the original did. */
function compare(vector: ClientCase, { injection, moments, prepared, env }: Explained): void {
  const { expect } = vector;
  const handedOver = injection.isPrinted ? expect.stdout : expect.fd0;
  if (injection.header === undefined || handedOver === undefined || handedOver === null) {
    // A queue program that cannot be started gets nothing; that is not known before one tries.
    if (injection.header !== undefined) return;
    assert.ok(injection.exit !== 0 || injection.becomes !== undefined, 'it does something');
    if (injection.exit !== 0) assert.equal(injection.exit, expect.exit);
    if (injection.failure !== undefined && injection.failure.length > 0) {
      const text = textOf(expandBytes(expect.stderr, prepared.placeholders));
      assert.ok(text.endsWith(textOf(injection.failure)), text);
    }
    return;
  }
  const isSame = moments.some((moment) => {
    if (typeof handedOver === 'object' && 'sha256' in handedOver) {
      return handedOver.length === injection.header!.length + injection.bodyBytes;
    }
    const whole = expandBytes(handedOver, moment);
    const start = injection.isPrinted ? whole.indexOf('\n') + 1 : 0;
    const header = whole.subarray(start, start + injection.header!.length);
    const isEnvelope =
      expect.fd1 === undefined ||
      expect.fd1 === null ||
      matchesBytes(injection.envelope!, expect.fd1, moment);
    return (
      header.equals(injection.header!) &&
      isEnvelope &&
      whole.length === start + header.length + injection.bodyBytes
    );
  });
  assert.ok(isSame, `${textOf(injection.header)}${textOf(injection.envelope!)}`);
  const recipients = injection.recipients.map(({ address }) => `T${textOf(address)}\0`).join('');
  assert.equal(`F${textOf(injection.sender!.address)}\0${recipients}\0`, textOf(injection.envelope!));
  const command = {
    program: 'qmail-inject',
    args: [],
    env,
    home: prepared.home,
    ownBin: '/',
    json: true,
  } as const;
  const explanation = explain(command, injection);
  for (const { reasons } of [explanation.sender!, ...explanation.recipients]) assert.ok(reasons.length > 0);
}

for (const program of ['qmail-inject', 'sendmail']) {
  describe(`explain tells what ${program} does`, () => {
    // What sendmail does under other names, explain does not explain.
    for (const vector of readClientCases(program).filter(({ invoke_as }) => invoke_as === undefined)) {
      it(`${vector.id} ${vector.title}`, async () => {
        const prepared = prepareCase(vector);
        try {
          compare(vector, await explainCase(vector, prepared));
        } finally {
          process.chdir(FOLDER);
          rmSync(prepared.folder, { recursive: true, force: true });
        }
      });
    }
  });
}
