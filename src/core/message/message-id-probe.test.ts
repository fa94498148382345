import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { type MessageIdAnswer, MessageIdProbe } from './message-id-probe.ts';

const CASES: readonly (readonly [MessageIdAnswer, string, string])[] = [
  ['present', 'as the first field', 'Message-ID: <1@a>\n\nbody\n'],
  ['present', 'as a later field', 'Subject: x\nMessage-ID: <1@a>\n\n'],
  ['present', 'in any case', 'mESSAGE-iD:<1@a>\n\n'],
  ['present', 'with space before the colon', 'Message-ID \t: <1@a>\n\n'],
  ['present', 'on a continuation line', 'Message-ID:\n <1@a>\n\n'],
  ['present', 'on the second continuation line', 'Message-ID: \r\n\t\r\n <1@a>\r\n\r\n'],
  ['present', 'with CR LF', 'Subject: x\r\nMessage-ID: <1@a>\r\n\r\n'],
  ['present', 'after an empty one', 'Message-ID:\nMessage-ID: <1@a>\n\n'],
  ['present', 'in a header without end', 'Message-ID: <'],
  ['absent', 'in an empty message', ''],
  ['absent', 'in a message without header', '\nMessage-ID: <1@a>\n'],
  ['absent', 'behind the header', 'Subject: x\n\nMessage-ID: <1@a>\n'],
  ['absent', 'behind a header with CR LF', 'Subject: x\r\n\r\nMessage-ID: <1@a>\r\n'],
  ['absent', 'in the middle of a line', 'Subject: Message-ID: <1@a>\n\n'],
  ['absent', 'on a continuation line of another field', 'Subject: x\n Message-ID: <1@a>\n\n'],
  ['absent', 'when the name goes on', 'Message-ID-Old: <1@a>\nResent-Message-ID: <1@a>\n\n'],
  ['absent', 'when the name is cut', 'Message-I: <1@a>\nMessage-ID\n\n'],
  ['absent', 'with a word before the colon', 'Message-ID is: <1@a>\n\n'],
  ['absent', 'without a value', 'Message-ID: \t\r\n\n <1@a>\n'],
  ['absent', 'without a value before the next field', 'Message-ID:\nSubject: <1@a>\n\n'],
  ['absent', 'when a CR begins the line', '\rMessage-ID: <1@a>\n\n'],
];

function ask(...parts: readonly string[]): MessageIdAnswer {
  const probe = new MessageIdProbe();
  for (const part of parts) probe.receive(bytesOf(part));
  probe.receiveEnd();
  return probe.answer;
}

describe('MessageIdProbe', () => {
  for (const [answer, sentence, message] of CASES) {
    it(`finds a Message-ID ${answer} ${sentence}, however the message is cut`, () => {
      assert.equal(ask(message), answer);
      assert.equal(ask(...message), answer);
      for (let at = 1; at < message.length; at++)
        assert.equal(ask(message.slice(0, at), message.slice(at)), answer, `cut at ${at}`);
    });
  }

  it('keeps the first word of the field, however the message is cut', () => {
    const rows: [string, string][] = [
      ['A: b\nMessage-ID: <1@a>\r\nC: d\n\n', '<1@a>'],
      ['message-id:\n  <2@a> (what) <3@a>\nMessage-ID: <4@a>\n\n', '<2@a>'],
      [`Message-ID: ${'x'.repeat(300)}\n\n`, 'x'.repeat(250)],
      ['Message-ID: <5@a', '<5@a'],
      ['Message-ID: \x1b<6@a>\n\n', ''],
      ['A: b\n\nMessage-ID: <7@a>\n', ''],
    ];
    for (const [message, value] of rows) {
      for (let at = 0; at < message.length; at++) {
        const probe = new MessageIdProbe();
        for (const part of [message.slice(0, at), message.slice(at)]) probe.receive(bytesOf(part));
        probe.receiveEnd();
        assert.equal(textOf(probe.value), value, `cut at ${at}`);
      }
    }
  });

  it('knows as early as possible', () => {
    const probe = new MessageIdProbe();
    probe.receive(bytesOf('Message-ID: '));
    assert.equal(probe.answer, 'unknown');
    probe.receive(bytesOf('<'));
    assert.equal(probe.answer, 'present');
    const none = new MessageIdProbe();
    none.receive(bytesOf('Subject: x\n'));
    assert.equal(none.answer, 'unknown');
    none.receive(bytesOf('\n'));
    assert.equal(none.answer, 'absent');
  });
});
