import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, textOf } from '../bytes/bytes.ts';
import { parseControlList } from '../format/control-file.ts';
import { parseDomainMap, parseDomainSet } from '../format/domain-map.ts';
import { classifyRecipient, stripVirtualPrepend } from './recipient.ts';

const list = (text: string) => parseControlList(bytesOf(text));
const CONTROLS = {
  envnoathost: bytesOf('mx.example.org'),
  locals: parseDomainSet(list('mx.example.org\nlocal.example\n')),
  percenthack: parseDomainSet(list('pct.example\nPct2.example\n')),
  virtualdomains: parseDomainMap(
    list(
      'virt.example:joe-old\nvirt.example:joe-virt\n.wild.example:joe-wild\nexc.wild.example:\nvuser@some.example:joe-vu\nno colon\n',
    ),
  ),
};

for (const [recipient, channel, address] of [
  ['who', 'local', 'who@mx.example.org'],
  ['', 'local', '@mx.example.org'],
  ['JOE@LOCAL.EXAMPLE', 'local', 'JOE@LOCAL.EXAMPLE'],
  ['a@b@local.example', 'local', 'a@b@local.example'],
  ['joe%local.example@pct.example', 'local', 'joe@local.example'],
  ['joe%far.example%PCT2.EXAMPLE@pct.example', 'remote', 'joe@far.example'],
  ['joe%a%b@far.example', 'remote', 'joe%a%b@far.example'],
  ['joe@pct.example', 'remote', 'joe@pct.example'],
  ['nobody@virt.example', 'local', 'joe-virt-nobody@virt.example'],
  ['Nobody@VIRT.example', 'local', 'joe-virt-Nobody@VIRT.example'],
  ['u@a.b.wild.example', 'local', 'joe-wild-u@a.b.wild.example'],
  ['u@wild.example', 'remote', 'u@wild.example'],
  ['u@exc.wild.example', 'remote', 'u@exc.wild.example'],
  ['vuser@some.example', 'local', 'joe-vu-vuser@some.example'],
  ['x@some.example', 'remote', 'x@some.example'],
  ['x@', 'remote', 'x@'],
  ['x@__proto__', 'remote', 'x@__proto__'],
  ['x@constructor', 'remote', 'x@constructor'],
] as const) {
  test(`classifyRecipient() sends <${recipient}> to ${channel} <${address}>`, () => {
    const result = classifyRecipient(bytesOf(recipient), CONTROLS);
    assert.deepEqual([result.channel, textOf(result.address)], [channel, address]);
  });
}

test('classifyRecipient() with an empty virtualdomains key takes every domain', () => {
  const virtualdomains = parseDomainMap(list(':all\n'));
  const result = classifyRecipient(bytesOf('a@any.example'), { ...CONTROLS, virtualdomains });
  assert.equal(textOf(result.address), 'all-a@any.example');
});

test('classifyRecipient() leaves its argument alone', () => {
  const given = bytesOf('joe%x@pct.example');
  classifyRecipient(given, CONTROLS);
  assert.equal(textOf(given), 'joe%x@pct.example');
});

for (const [address, stripped] of [
  ['joe-virt-nobody@virt.example', 'nobody@virt.example'],
  ['joe-virtual@virt.example', 'joe-virtual@virt.example'],
  ['joe-wild-u@a.wild.example', 'u@a.wild.example'],
  ['joe-vu-vuser@some.example', 'joe-vu-vuser@some.example'],
  ['x@some.example', 'x@some.example'],
  ['plain', 'plain'],
] as const) {
  test(`stripVirtualPrepend() of ${address} is ${stripped}`, () => {
    assert.equal(textOf(stripVirtualPrepend(bytesOf(address), CONTROLS.virtualdomains)), stripped);
  });
}
