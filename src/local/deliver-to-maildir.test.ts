import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it, test } from 'node:test';
import { bytesOf, textOf } from '../core/bytes/bytes.ts';
import { deliverToMaildir } from './deliver-to-maildir.ts';
import { DeliveryFailure } from './delivery-failure.ts';

test('deliverToMaildir() waits for another name twice, and then gives up', () => {
  const folder = mkdtempSync(join(tmpdir(), 'maildir-'));
  try {
    for (const part of ['tmp', 'new', 'cur']) mkdirSync(join(folder, part));
    const host = `${'h'.repeat(60)}/:and-more`;
    const safeHost = `${'h'.repeat(60)}\\057\\072a`;
    const taken = [1000, 1002, 1004].map((seconds) => `${seconds}.77.${safeHost}`);
    for (const name of taken) writeFileSync(join(folder, 'tmp', name), 'another');
    let nowMs = 1_000_500;
    const platform = {
      nowMs: () => nowMs,
      pause: (ms: number) => {
        nowMs += ms;
      },
      pid: 77,
      hostName: () => host,
      lockWaitMs: 0,
    };
    const nothing = new Uint8Array(0);
    const lines = { from: nothing, returnPath: nothing, deliveredTo: nothing };
    const deliver = () =>
      deliverToMaildir({ folder: bytesOf(`${folder}/`), lines, begun: new Map(), platform });
    assert.throws(deliver, (error) => {
      assert.ok(error instanceof DeliveryFailure);
      assert.equal(textOf(error.text), 'Temporary error on maildir delivery. (#4.3.0)');
      return true;
    });
    assert.equal(nowMs, 1_004_500);
    assert.deepEqual(readdirSync(join(folder, 'tmp')).sort(), taken);
    assert.deepEqual(readdirSync(join(folder, 'new')), []);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe('deliverToMaildir(), with a message on descriptor 0', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'maildir-'));
    for (const part of ['tmp', 'new', 'cur']) mkdirSync(join(folder, part));
    writeFileSync(join(folder, 'message'), 'Subject: s\n\n');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Delivers in a process of its own; returns what it says. @param nowMs what its clock shows, call by call, then the last again */
  function deliver(...nowMs: number[]): string {
    const script = `
      const [module, folder, ...times] = process.argv.slice(1);
      const { deliverToMaildir } = await import(module);
      const empty = new Uint8Array(0);
      const platform = {
        nowMs: () => Number(times.length > 1 ? times.shift() : times[0]),
        pause: () => {},
        pid: 77,
        hostName: () => 'h',
      };
      const lines = { from: empty, returnPath: Buffer.from('R\\n'), deliveredTo: Buffer.from('D\\n') };
      try {
        deliverToMaildir({ folder: Buffer.from(folder), lines, begun: new Map(), platform });
      } catch ({ text }) {
        console.log(Buffer.from(text).toString());
      }`;
    const input = openSync(join(folder, 'message'), 'r');
    const args = [
      '--input-type=module',
      '-e',
      script,
      join(import.meta.dirname, 'deliver-to-maildir.ts'),
      folder,
    ];
    const child = spawnSync(process.execPath, [...args, ...nowMs.map(String)], {
      stdio: [input, 'pipe', 'inherit'],
      encoding: 'utf8',
    });
    closeSync(input);
    return child.stdout;
  }

  it('takes another name if somebody has the first', () => {
    writeFileSync(join(folder, 'tmp/1000.77.h'), 'another');
    assert.equal(deliver(0, 1_000_000, 1_002_000), '');
    assert.equal(readFileSync(join(folder, 'new/1002.77.h'), 'utf8'), 'R\nD\nSubject: s\n\n');
    assert.deepEqual(readdirSync(join(folder, 'tmp')), ['1000.77.h']);
  });

  it('never takes the place of a message', () => {
    writeFileSync(join(folder, 'new/1000.77.h'), 'another');
    assert.equal(deliver(1_000_000), 'Temporary error on maildir delivery. (#4.3.0)\n');
    assert.equal(readFileSync(join(folder, 'new/1000.77.h'), 'utf8'), 'another');
    assert.deepEqual(readdirSync(join(folder, 'tmp')), []);
  });

  it('gives up after a day, when readers may remove what is in tmp', () => {
    assert.equal(deliver(0, 0, 86_400_001), 'Timeout on maildir delivery. (#4.3.0)\n');
    for (const part of ['tmp', 'new']) assert.deepEqual(readdirSync(join(folder, part)), []);
  });
});
