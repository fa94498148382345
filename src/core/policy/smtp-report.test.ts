import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  acceptedReport,
  diedReport,
  recipientReport,
  refusalReport,
  unknownHostReport,
} from './smtp-report.ts';

test('acceptedReport() quotes the reply with its codes', () => {
  assert.deepEqual(acceptedReport('1.2.3.4', '250-one\r\n250 two'), {
    letter: 'K',
    text: '1.2.3.4 accepted message.\nRemote host said: 250-one\n250 two\n',
  });
});

test('recipientReport() is permanent from 500 on', () => {
  assert.deepEqual(recipientReport('h', 550, '550 no such\n'), {
    letter: 'D',
    text: 'h does not like recipient.\nRemote host said: 550 no such\nGiving up on h.\n',
  });
  assert.equal(recipientReport('h', 450, '450 later').letter, 'Z');
  assert.equal(recipientReport('h', 0, 'odd').letter, 'Z');
});

test('refusalReport() never gives up because of greeting or name', () => {
  assert.equal(refusalReport('h', 'greeting', 554, '554 go').letter, 'Z');
  assert.equal(refusalReport('h', 'name', 550, '550 go').letter, 'Z');
  assert.equal(refusalReport('h', 'sender', 550, '550 go').letter, 'D');
  assert.equal(refusalReport('h', 'data', 451, '451 go').letter, 'Z');
  assert.deepEqual(refusalReport('h', 'message', 554, ''), {
    letter: 'D',
    text: 'h failed after I sent the message.\n',
  });
});

test('reports show at most 5000 bytes of a reply, and no NUL', () => {
  const { text } = acceptedReport('h', `250 \0${'x'.repeat(9000)}`);
  assert.equal(text.length, 'h accepted message.\nRemote host said: '.length + 5000);
  assert.match(text, /said: 250 \?x/);
});

test('diedReport() warns of a duplicate once the end of the message is on its way', () => {
  assert.equal(diedReport('h', false).text, 'Connected to h but connection died. (#4.4.2)\n');
  assert.equal(
    diedReport('h', true).text,
    'Connected to h but connection died. Possible duplicate! (#4.4.2)\n',
  );
});

test('unknownHostReport() shows a name without control bytes', () => {
  assert.equal(
    unknownHostReport('a b\n\xe9').text,
    "Sorry, I couldn't find any host named a?b??. (#5.1.2)\n",
  );
});
