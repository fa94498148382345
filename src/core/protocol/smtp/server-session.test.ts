import assert from 'node:assert/strict';
import { test } from 'node:test';
import { feedEveryWay } from '../../../../test/support/feed-every-way.ts';
import { converse, OK, settingsOf } from '../../../../test/support/smtp-conversation.ts';
import { bytesOf, textOf } from '../../bytes/bytes.ts';
import { SmtpServerSession } from './server-session.ts';

const START = 'MAIL FROM:<s@a>\r\nRCPT TO:<r@b>\r\nDATA\r\n';
const LATE = 'early-end while waiting for a command';

test('SmtpServerSession says the same however a pipelined conversation is cut', () => {
  const client = `EHLO me\r\n${START}..one\r\n\0\xff\r\n.\r\nNOOP\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nRCPT TO:<b>\r\nDATA\r\n.\r\nQUIT\r\n`;
  const heard = feedEveryWay(bytesOf(client), (pieces) => converse(pieces));
  const accepted = ['250 ok', '250 ok', '354 go ahead', '250 ok'];
  assert.deepEqual(heard, {
    replies: [
      ...['250-mx.example', '250-PIPELINING', '250 8BITMIME', ...accepted],
      ...['250 ok', '250 ok', ...accepted, '221 mx.example'],
    ],
    messages: [
      { text: 'SMTP me|.one\n\0\xff\n', envelope: 'Fs@a\0Tr@b\0\0', isRefused: false },
      { text: 'SMTP me|', envelope: 'F\0Ta\0Tb\0\0', isRefused: false },
    ],
    end: 'closed',
  });
});

test('SmtpServerSession ignores what follows QUIT', () => {
  const { replies, messages } = converse([bytesOf(`QUIT\r\n${START}x\r\n.\r\n`)]);
  assert.deepEqual([replies, messages], [['221 mx.example'], []]);
});

const ENDINGS = [
  ...['\n.\n', '\n.\r\n', '\r\n.\n', '\r.\r', '\r.\r\n', '\r\n.\r', '\r\n.\r\r\n', '\r\n.\0\r\n'],
  ...['\r\n\0.\r\n', '\r\n .\r\n', '\r\n..\r\n', '\r\n.\r.\r\n', '\n\r.\r\n', '.\r\n', '\r\r.\r\r', '\r\n.'],
];

for (const ending of ENDINGS) {
  test(`SmtpServerSession takes no second message out of one with ${JSON.stringify(ending)} in it`, () => {
    const second = 'MAIL FROM:<evil@a>\r\nRCPT TO:<victim@b>\r\nDATA\r\nsmuggled';
    const client = `${START}first${ending}${second}\r\n.\r\nQUIT\r\n`;
    const { replies, messages, end } = feedEveryWay(bytesOf(client), (pieces) => converse(pieces));
    const isStray = /(?<!\r)\n/.test(ending);
    assert.deepEqual(replies.slice(3), [
      ...(isStray ? ['451 See http://pobox.com/~djb/docs/smtplf.html.'] : ['250 ok', '221 mx.example']),
    ]);
    assert.equal(end, isStray ? 'bare-lf while reading a message' : 'closed');
    assert.equal(messages.length, isStray ? 0 : 1);
    if (!isStray) assert.equal(messages[0]!.envelope, 'Fs@a\0Tr@b\0\0');
    if (!isStray) assert.match(messages[0]!.text, /first.*MAIL FROM:<evil@a>\n.*smuggled\n$/s);
  });
}

for (const [name, client, settings, answers, want] of [
  [
    'asks for MAIL before RCPT',
    'RCPT TO:<a>\r\nDATA\r\n',
    {},
    {},
    ['503 MAIL first (#5.5.1)', '503 MAIL first (#5.5.1)'],
  ],
  [
    'asks for a recipient before DATA, one that was accepted',
    'MAIL <a>\r\nRCPT <b>\r\nDATA\r\n',
    {},
    { toRecipient: { code: 550, text: 'no' } },
    ['250 ok', '550 no', '503 RCPT first (#5.5.1)'],
  ],
  [
    'needs a new MAIL after a message was refused at its start',
    `${START}DATA\r\n`,
    {},
    { toMessage: { code: 451, text: 'qqt' } },
    ['250 ok', '250 ok', '451 qqt', '503 MAIL first (#5.5.1)'],
  ],
  [
    'needs a new MAIL after a message was refused at its end',
    `${START}.\r\nDATA\r\n`,
    {},
    { toEnd: { code: 554, text: 'no' } },
    ['250 ok', '250 ok', '354 go ahead', '554 no', '503 MAIL first (#5.5.1)'],
  ],
  [
    'takes addresses of 899 bytes and no longer ones',
    `MAIL <${'a'.repeat(899)}>\r\nMAIL <${'a'.repeat(900)}>\r\nRCPT <${'b'.repeat(900)}>\r\n`,
    {},
    {},
    ['250 ok', '555 syntax error (#5.5.4)', '555 syntax error (#5.5.4)'],
  ],
  [
    'refuses more recipients than are allowed, for now',
    'MAIL <a>\r\nRCPT <b>\r\nRCPT <c>\r\nRCPT <d>\r\nRSET\r\nMAIL <a>\r\nRCPT <d>\r\n',
    { recipientCountMax: 2 },
    {},
    [
      ...['250 ok', '250 ok', '250 ok', '452 sorry, that message has too many recipients (#4.5.3)'],
      ...['250 flushed', '250 ok', '250 ok'],
    ],
  ],
  [
    'ends a session after as many refusals as are allowed',
    'X\r\nNOOP\r\nDATA\r\nNOOP\r\n',
    { errorCountMax: 2 },
    {},
    ['502 unimplemented (#5.5.1)', '250 ok', '503 MAIL first (#5.5.1)', '421 too many errors (#4.7.0)'],
  ],
  [
    'rejects bare CRs where that is asked for',
    `${START}a\rb\r\n.\r\n`,
    { bareCr: 'reject' },
    {},
    ['250 ok', '250 ok', '354 go ahead', '550 bare CR in the message (#5.6.11)'],
  ],
] as const) {
  test(`SmtpServerSession ${name}`, () => {
    const heard = feedEveryWay(bytesOf(client), (pieces) => converse(pieces, settingsOf(settings), answers), {
      cutsMax: 200,
    });
    assert.deepEqual(heard.replies, want);
  });
}

test('SmtpServerSession judges a command line over 64 KB by what it keeps of it', () => {
  const fill = 'x'.repeat(70_000);
  const sent = [`MAIL FROM:<a@b> ${fill}`, `RCPT TO:<${fill}>`, `RCPT TO:<a@b> ${fill}`, `HELO ${fill}`];
  const { replies } = converse([bytesOf([...sent, `NOOP ${fill}`, fill, ''].join('\r\n'))]);
  assert.deepEqual(replies, [
    ...['250 ok', '555 syntax error (#5.5.4)', '250 ok', '500 command line too long (#5.5.2)', '250 ok'],
    '502 unimplemented (#5.5.1)',
  ]);
});

test('SmtpServerSession asks for its output to be written before it grows', () => {
  const session = new SmtpServerSession(settingsOf({}));
  session.receive(bytesOf('\n'.repeat(1_000_000)));
  let count = 0;
  for (let event = session.next(); event !== 'need-input'; event = session.next()) {
    assert.equal(event, 'need-output');
    const [output] = session.takeOutput();
    assert.ok(output!.length < 20_000);
    count++;
  }
  assert.ok(count > 1000);
});

test('SmtpServerSession keeps a million recipients within bounds', () => {
  const session = new SmtpServerSession(settingsOf({}));
  const before = process.memoryUsage();
  session.receive(bytesOf('MAIL FROM:<s@a>\r\n'));
  let accepted = 0;
  const piece = bytesOf('RCPT TO:<somebody-with-a-longer-name@and-host.example>\r\n'.repeat(1000));
  for (let i = 0; i < 1000; ) {
    const event = session.next();
    session.takeOutput();
    if (event === 'need-input') {
      session.receive(piece);
      i++;
    } else if (typeof event === 'object' && event.type === 'recipient') {
      session.decide(OK, event.address);
      accepted++;
    }
  }
  assert.ok(accepted <= 100_000 && accepted >= 99_000, String(accepted));
  const after = process.memoryUsage();
  assert.ok(after.arrayBuffers - before.arrayBuffers < 20_000_000);
});

test('SmtpServerSession tells where a client left or fell asleep', () => {
  const ends: [string, string][] = [
    ['', 'waiting for a command'],
    ['NOO', 'waiting for a command'],
    [`${START}text`, 'reading a message'],
  ];
  for (const [client, where] of ends) {
    assert.equal(converse([bytesOf(client)]).end, `early-end while ${where}`);
    const session = new SmtpServerSession(settingsOf({}));
    session.receive(bytesOf(client));
    for (let event = session.next(); event !== 'need-input'; event = session.next())
      if (typeof event === 'object' && event.type !== 'data') session.decide(OK, bytesOf('r'));
    session.takeOutput();
    assert.deepEqual(session.timeout(), { type: 'violation', code: 'timeout', where });
    assert.equal(textOf(session.takeOutput()[0]!), '451 timeout (#4.4.2)\r\n');
    assert.equal(session.timeout(), 'closed');
  }
});

test('SmtpServerSession replaces a literal of its own address', () => {
  const local = { host: bytesOf('mx.example'), isLocal: (ip: readonly number[]) => ip[3] === 1 };
  const client = 'MAIL <a@[192.0.2.1]>\r\nRCPT <b@[192.0.2.1]>\r\nRCPT <b@[192.0.2.2]>\r\nDATA\r\n.\r\n';
  const { messages } = converse([bytesOf(client)], settingsOf({}, { local }));
  assert.equal(messages[0]!.envelope, 'Fa@mx.example\0Tb@mx.example\0Tb@[192.0.2.2]\0\0');
});

test('SmtpServerSession announces what was asked for between the lines of qmail', () => {
  const settings = settingsOf({ size: true, smtputf8: true }, { sizeMax: 1000, offersTls: true });
  const { replies } = converse([bytesOf('EHLO x\r\n')], settings);
  assert.deepEqual(replies, [
    ...['250-mx.example', '250-PIPELINING', '250-SIZE 1000', '250-SMTPUTF8', '250-STARTTLS'],
    '250 8BITMIME',
  ]);
});

const TOO_LARGE = '552 sorry, that message size exceeds my databytes limit (#5.3.4)';
const BAD_PARAMETER = '501 syntax error in a parameter (#5.5.4)';
const UNKNOWN_PARAMETER = '555 unknown parameter (#5.5.4)';
const NEEDS_UTF8 = '553 sorry, an address like that needs SMTPUTF8 (#5.6.7)';
const NOT_UTF8 = '553 sorry, that address is not in UTF-8 (#5.6.7)';

for (const [extensions, command, want] of [
  [{}, 'MAIL FROM:<a@b> SIZE=x BODY=y SMTPUTF8 Z', '250 ok'],
  [{ size: true }, 'MAIL FROM:<a@b> size=1000 BODY=y Z', '250 ok'],
  [{ size: true }, 'MAIL FROM:<a@b> SIZE=1001', TOO_LARGE],
  [{ size: true }, 'MAIL FROM:<a@b> SIZE=99999999999999999999', TOO_LARGE],
  [{ size: true }, 'MAIL FROM:<a@b> SIZE=999999999999999999999', BAD_PARAMETER],
  [{ size: true }, 'MAIL FROM:<a@b> SIZE=', BAD_PARAMETER],
  [{ size: true }, 'MAIL FROM:<a@b> SIZE', BAD_PARAMETER],
  [{ size: true }, 'MAIL FROM:<a@b> SIZE=-1', BAD_PARAMETER],
  [{ smtputf8: true }, 'MAIL FROM:<a@b> SIZE=1001', '250 ok'],
  [{ smtputf8: true }, 'MAIL FROM:<\xc3\xb6@b>', NEEDS_UTF8],
  [{ smtputf8: true }, 'MAIL FROM:<\xc3\xb6@b> SmtpUtf8', '250 ok'],
  [{ smtputf8: true }, 'MAIL FROM:<\xf6@b> SMTPUTF8', NOT_UTF8],
  [{ smtputf8: true }, 'MAIL FROM:<a@b> SMTPUTF8=1', BAD_PARAMETER],
  [{}, 'MAIL FROM:<\xf6@b>', '250 ok'],
  [{ strict: true }, 'MAIL FROM:<a@b>  BODY=8bitmime ', '250 ok'],
  [{ strict: true }, 'MAIL FROM:<a@b> BODY=7BIT', '250 ok'],
  [{ strict: true }, 'MAIL FROM:<a@b> BODY=BINARYMIME', BAD_PARAMETER],
  [{ strict: true }, 'MAIL FROM:<a@b> BODY', BAD_PARAMETER],
  [{ strict: true }, 'MAIL FROM:<a@b> SIZE=1', UNKNOWN_PARAMETER],
  [{ strict: true, size: true }, 'MAIL FROM:<a@b> SIZE=1', '250 ok'],
  [{ strict: true }, 'MAIL FROM:<a@b> SMTPUTF8', UNKNOWN_PARAMETER],
  [{ strict: true }, 'MAIL FROM:<a@b> X', UNKNOWN_PARAMETER],
] as const) {
  const names = Object.keys(extensions).join(' and ') || 'no extension';
  test(`SmtpServerSession with ${names} answers ${command}`, () => {
    const { replies } = converse([bytesOf(`${command}\r\n`)], settingsOf(extensions, { sizeMax: 1000 }));
    assert.deepEqual(replies, [want]);
  });
}

test('SmtpServerSession judges the recipients of a message by its parameters, and names it UTF8SMTP', () => {
  const rest = 'RCPT TO:<\xc3\xb6@b>\r\nRCPT TO:<\xf6@b>\r\nRCPT TO:<a> X\r\nDATA\r\n.\r\n';
  const settings = settingsOf({ smtputf8: true, strict: true });
  const pieces = `MAIL FROM:<a>\r\n${rest}`
    .replace('DATA\r\n.\r\n', '')
    .split(/(?<=\n)/)
    .map(bytesOf);
  assert.deepEqual(converse(pieces, settings).replies.slice(1), [NEEDS_UTF8, NEEDS_UTF8, UNKNOWN_PARAMETER]);
  const { replies, messages } = converse(
    `MAIL FROM:<a> SMTPUTF8\r\n${rest}`.split(/(?<=\n)/).map(bytesOf),
    settings,
  );
  assert.deepEqual(replies.slice(1, 4), ['250 ok', NOT_UTF8, UNKNOWN_PARAMETER]);
  assert.deepEqual(messages, [
    { text: 'UTF8SMTP undefined|', envelope: 'Fa\0T\xc3\xb6@b\0\0', isRefused: false },
  ]);
});

for (const [client, reply, end] of [
  ['NOOP\n', '500 bare LF at the end of a command (#5.5.2)', 'bare-lf while waiting for a command'],
  ['NO\0OP\r\n', '500 NUL in a command (#5.5.2)', LATE],
  [`NOOP ${'x'.repeat(2100)}\r\n`, '500 command line too long (#5.5.2)', LATE],
  ['EHLO x\r\nNOOP\r\n', '554 you spoke out of turn (#5.5.0)', 'out-of-turn while waiting for a command'],
  ['DATA\r\nx', '554 you spoke out of turn (#5.5.0)', 'out-of-turn while waiting for a command'],
  ['NOOP\r\nNOOP\r\nRSET\r\nDATA\r\n', '250 ok', LATE],
  [`MAIL FROM:<${'a'.repeat(899)}>\r\n`, '250 ok', LATE],
] as const) {
  test(`SmtpServerSession, strict, answers ${JSON.stringify(client.slice(0, 20))} with ${reply}`, () => {
    const heard = converse([bytesOf(client)], settingsOf({ strict: true }));
    assert.deepEqual([heard.replies[0], heard.end], [reply, end]);
  });
}

test('SmtpServerSession forgets all that was said before TLS, and offers it no more', () => {
  const lines = ['EHLO before', 'MAIL <a>', 'RCPT <b>', 'STARTTLS', 'DATA', 'EHLO', 'STARTTLS'];
  const after = ['MAIL <c>', 'RCPT <d>', 'DATA', '.', 'QUIT'];
  const pieces = [...lines, ...after].map((line) => bytesOf(`${line}\r\n`));
  const { replies, messages } = converse(pieces, settingsOf({}, { offersTls: true }));
  assert.deepEqual(replies, [
    ...['250-mx.example', '250-PIPELINING', '250-STARTTLS', '250 8BITMIME', '250 ok', '250 ok', '220 ready'],
    ...['503 MAIL first (#5.5.1)', '250-mx.example', '250-PIPELINING', '250 8BITMIME'],
    ...['503 TLS is active already (#5.5.1)', '250 ok', '250 ok', '354 go ahead', '250 ok', '221 mx.example'],
  ]);
  assert.deepEqual(messages, [{ text: 'ESMTPS |', envelope: 'Fc\0Td\0\0', isRefused: false }]);
});

test('SmtpServerSession obeys nothing that came in clear behind STARTTLS, and ends', () => {
  for (const behind of ['R', `RSET\r\n${START}x\r\n.\r\n`]) {
    const heard = converse([bytesOf(`STARTTLS\r\n${behind}`)], settingsOf({}, { offersTls: true }));
    assert.deepEqual(heard, {
      replies: ['554 you spoke out of turn (#5.5.0)'],
      messages: [],
      end: 'out-of-turn while waiting for a command',
    });
  }
});

test('SmtpServerSession knows no STARTTLS where there is no certificate, and none with an argument', () => {
  const client = [bytesOf('STARTTLS\r\nSTARTTLS x\r\n')];
  const unknown = '502 unimplemented (#5.5.1)';
  assert.deepEqual(converse(client).replies, [unknown, unknown]);
  const [, second] = converse(
    [bytesOf('NOOP\r\n'), bytesOf('STARTTLS x\r\n')],
    settingsOf({}, { offersTls: true }),
  ).replies;
  assert.equal(second, BAD_PARAMETER);
});

test('SmtpServerSession refuses a decision that it did not ask for', () => {
  const session = new SmtpServerSession(settingsOf({}));
  assert.throws(() => session.decide(OK), /Cannot decide while waiting for a command/);
  assert.throws(() => session.secured(), /Cannot be secured while waiting for a command/);
});
