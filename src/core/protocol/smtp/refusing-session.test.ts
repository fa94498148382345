import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, concatBytes, textOf } from '../../bytes/bytes.ts';
import { RefusingSession } from './refusing-session.ts';

function talk(pieces: readonly string[]): { said: string; isOver: boolean } {
  const session = new RefusingSession(bytesOf('451 No'));
  const said = [...session.takeOutput()];
  for (const piece of pieces) {
    session.receive(bytesOf(piece));
    said.push(...session.takeOutput());
  }
  return { said: textOf(concatBytes(said)), isOver: session.isOver };
}

test('RefusingSession is friendly until it matters, fed whole or in any two pieces', () => {
  const client = 'EHLO x\r\nmail FROM:<>\nRCPT TO:<a>\r\nDATA\r\n.\r\nrset\r\nNOOP\r\nQUIT\r\nHELO x\r\n';
  const codes = ['220', '250', '250', '451', '451', '451', '250', '250', '221'];
  for (let at = 0; at <= client.length; at++) {
    const { said, isOver } = talk([client.slice(0, at), client.slice(at)]);
    assert.deepEqual(
      said.split('\r\n').map((line) => line.slice(0, 3)),
      [...codes, ''],
    );
    assert.equal(isOver, true);
  }
});

test('RefusingSession keeps little of an endless line and answers it once', () => {
  const { said, isOver } = talk([...Array.from({ length: 1000 }, () => 'x'.repeat(10_000)), '\r\n']);
  assert.deepEqual([said, isOver], ['220 rblsmtpd.local\r\n451 No\r\n', false]);
});
