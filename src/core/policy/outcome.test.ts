import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outcomeOfQueueResult, QUEUE_EXIT, type QueueResult } from './outcome.ts';

function outcome(exit: QueueResult['exit'], more: Partial<QueueResult> = {}): string {
  const { letter, text } = outcomeOfQueueResult({ exit, writeFailed: false, pid: 1, ...more });
  return letter + text;
}

test('outcomeOfQueueResult() accepts exit code 0 only if everything was written', () => {
  assert.equal(outcome(0), 'K');
  assert.equal(outcome(0, { writeFailed: true }), 'Zqq read error (#4.3.0)');
  assert.equal(outcome(0, { customText: 'Dno' }), 'K');
});

test('outcomeOfQueueResult() takes 11 to 40 and 115 for permanent, all others for temporary', () => {
  for (let exit = 1; exit < 256; exit++) {
    const want = (exit >= 11 && exit <= 40) || exit === 115 ? 'D' : 'Z';
    assert.equal(outcome(exit).charAt(0), want, String(exit));
  }
});

test('outcomeOfQueueResult() has the words of each cause, with an enhanced code of the same class', () => {
  const rows: [QueueResult['exit'], string][] = [
    [11, 'Denvelope address too long for qq (#5.1.3)'],
    [31, 'Dmail server permanently rejected message (#5.3.0)'],
    [39, 'Dqq permanent problem (#5.3.0)'],
    [51, 'Zqq out of memory (#4.3.0)'],
    [53, 'Zqq write error or disk full (#4.3.0)'],
    [66, 'Zqq trouble creating files in queue (#4.3.0)'],
    [71, 'Zmail server temporarily rejected message (#4.3.0)'],
    [74, 'Zcommunication with mail server failed (#4.4.2)'],
    [82, 'Zqq temporary problem (#4.3.0)'],
    [120, 'Zunable to exec qq (#4.3.0)'],
    ['signal', 'Zqq crashed (#4.3.0)'],
    ['lost', 'Zqq waitpid surprise (#4.3.0)'],
  ];
  for (const [exit, want] of rows) assert.equal(outcome(exit), want);
  for (let exit = 1; exit < 256; exit++)
    assert.match(outcome(exit), /^(?:D.* \(#5\.\d\.\d\)|Z.* \(#4\.\d\.\d\))$/, String(exit));
});

test('outcomeOfQueueResult() takes a text of the queue program with exit code 82 only, and of three bytes or more', () => {
  const rows: [number, string, string][] = [
    [82, 'Dgo away', 'Dgo away'],
    [82, 'Zlater', 'Zlater'],
    [82, 'Kdone', 'Zdone'],
    [82, 'Dab', 'Dab'],
    [82, 'Da', 'Zqq temporary problem (#4.3.0)'],
    [82, '', 'Zqq temporary problem (#4.3.0)'],
    [82, 'Dno\0more', 'Dno'],
    [82, `D${'x'.repeat(300)}`, `D${'x'.repeat(254)}`],
    [82, '\0ab', 'Z'],
    [31, 'Zlater', 'Dmail server permanently rejected message (#5.3.0)'],
    [81, 'Dgo away', 'Zqq internal bug (#4.3.0)'],
  ];
  for (const [exit, customText, want] of rows) assert.equal(outcome(exit, { customText }), want, customText);
});

test('every exit code that our own programs use has a row of its own, except acceptance', () => {
  const general = ['Zqq temporary problem (#4.3.0)', 'Dqq permanent problem (#5.3.0)'];
  for (const [name, exit] of Object.entries(QUEUE_EXIT)) assert.ok(!general.includes(outcome(exit)), name);
});
