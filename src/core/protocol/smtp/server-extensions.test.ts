import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf } from '../../bytes/bytes.ts';
import { DEFAULT_EXTENSIONS, parseSmtpExtensions } from './server-extensions.ts';

const parse = (...items: string[]) => parseSmtpExtensions(items.map(bytesOf));

test('parseSmtpExtensions() changes nothing without items', () => {
  assert.deepEqual(parse(), { extensions: DEFAULT_EXTENSIONS });
});

test('parseSmtpExtensions() reads every item, the last of several', () => {
  const words = ['size', 'smtputf8', 'strict', 'notqmail'];
  const numbers = ['recipients=1', 'recipients=007', 'errors=20', 'session=3600'];
  assert.deepEqual(parse(...words, 'barecr=space', ...numbers), {
    extensions: {
      ...{ size: true, smtputf8: true, strict: true, notqmail: true },
      ...{ bareCr: 'space', recipientCountMax: 7, errorCountMax: 20, sessionSecondsMax: 3600 },
      commandLengthMax: 65_536,
    },
  });
});

test('parseSmtpExtensions() rejects bare CRs when strict, unless told otherwise', () => {
  const bareCrOf = (...items: string[]) => {
    const parsed = parse(...items);
    return 'extensions' in parsed && parsed.extensions.bareCr;
  };
  assert.equal(bareCrOf('strict'), 'reject');
  assert.equal(bareCrOf('strict', 'barecr=keep'), 'keep');
});

for (const item of ['sise', 'SIZE', 'size=1', 'barecr', 'barecr=', 'errors', 'errors=', 'errors=-1', 'x=1']) {
  test(`parseSmtpExtensions() names "${item}", which means nothing`, () => {
    assert.deepEqual(parse('size', item), { unknown: item });
  });
}

for (const item of ['recipients=0', 'recipients=1234567890', 'recipients=1e3']) {
  test(`parseSmtpExtensions() refuses the number of "${item}"`, () => {
    assert.deepEqual(parse(item), { unknown: item });
  });
}
