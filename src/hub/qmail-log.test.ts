import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { bytesOf } from '../core/bytes/bytes.ts';
import { QmailLog } from './qmail-log.ts';

let lines: string[];
let endTurn: () => void;
let log: QmailLog;

beforeEach(() => {
  lines = [];
  log = new QmailLog({
    writeLine: (line) => lines.push(line),
    uid: 12,
    later: (callback) => {
      endTurn = callback;
    },
  });
});

/** What has come out by the end of the turn. */
function printed(): string {
  endTurn();
  return lines.splice(0).join('');
}

const LOCAL = { id: 1, channel: 'local', recipient: bytesOf('joe@h.example') };

test('a message is told from its birth to its end as qmail-send does', () => {
  log.write('delivery.limits', { local: 10, remote: 20 });
  log.write('accepted', {
    id: 1,
    ip: 'local',
    pid: 4711,
    uid: 1000,
    sender: bytesOf('a@b'),
    recipients: 1,
    bytes: 97,
  });
  log.write('delivery.start', LOCAL);
  log.write('delivery.success', { ...LOCAL, text: bytesOf('did 1+0+0/'), ms: 3 });
  log.write('message.end', { id: 1 });
  log.write('delivery.start', { ...LOCAL, id: 2 });
  log.write('hub.stopping', { signal: 'SIGTERM' });
  log.write('delivery.deferral', { ...LOCAL, id: 2, text: bytesOf('no') });
  log.write('hub.stopped', { messages: 0 });
  assert.deepEqual(lines, []);
  assert.equal(
    printed(),
    `status: local 0/10 remote 0/20
new msg 1
info msg 1: bytes 97 from <a@b> qp 4711 uid 1000
starting delivery 1: msg 1 to local joe@h.example
status: local 1/10 remote 0/20
delivery 1: success: did_1+0+0/
status: local 0/10 remote 0/20
end msg 1
starting delivery 2: msg 2 to local joe@h.example
status: local 1/10 remote 0/20
delivery 2: deferral: no
status: local 0/10 remote 0/20 exitasap
status: exiting
`,
  );
});

test('a message is announced before its delivery begins, whatever is heard first', () => {
  log.write('delivery.start', { ...LOCAL, id: 7 });
  log.write('message.end', { id: 6 });
  log.write('accepted', { id: 7, ip: '192.0.2.1', sender: bytesOf(''), recipients: 1, bytes: 5 });
  const [first, second, third] = printed().split('\n');
  assert.equal(first, 'new msg 7');
  assert.equal(second, 'info msg 7: bytes 5 from <> qp 7 uid 12');
  assert.equal(third, 'starting delivery 1: msg 7 to local joe@h.example');
});

test('a message without recipients ends at once', () => {
  log.write('accepted', { id: 1, sender: bytesOf('a@b'), recipients: 0, bytes: 5 });
  assert.match(printed(), /^new msg 1\ninfo msg 1: .*\nend msg 1\n$/);
});

test('notices are told of their message and of their own', () => {
  log.write('bounce', { id: 1, bounceId: 2, kind: 'single', recipient: bytesOf('a@b'), bytes: 300 });
  log.write('bounce', { id: 2, bounceId: 3, kind: 'double', recipient: bytesOf('p@h'), bytes: 400 });
  log.write('bounce', { id: 3, kind: 'triple', text: 'discarded' });
  log.write('message.end', { id: 3 });
  assert.equal(
    printed(),
    `bounce msg 1 qp 2
new msg 2
info msg 2: bytes 300 from <> qp 2 uid 12
bounce msg 2 qp 3
new msg 3
info msg 3: bytes 400 from <#@[]> qp 3 uid 12
triple bounce: discarding bounce/3
end msg 3
`,
  );
});

test('deliveries that run at once have numbers of their own, in the order in which they began', () => {
  const remote = { ...LOCAL, channel: 'remote' };
  log.write('delivery.start', LOCAL);
  log.write('delivery.start', LOCAL);
  log.write('delivery.start', remote);
  log.write('delivery.deferral', { ...remote, text: bytesOf('100% no\nyes') });
  log.write('delivery.failure', { ...LOCAL, text: bytesOf('') });
  log.write('delivery.success', { ...LOCAL, text: bytesOf('') });
  const text = printed();
  assert.deepEqual(text.match(/^(?:starting )?delivery .*$/gm), [
    'starting delivery 1: msg 1 to local joe@h.example',
    'starting delivery 2: msg 1 to local joe@h.example',
    'starting delivery 3: msg 1 to remote joe@h.example',
    'delivery 3: deferral: 100__no/yes',
    'delivery 1: failure: ',
    'delivery 2: success: ',
  ]);
  assert.match(text, /status: local 2\/0 remote 1\/0\n[\s\S]*status: local 0\/0 remote 0\/0\n$/);
});

test('what qmail-send does not know is told as usual, and troubles are warnings', () => {
  log.write('qmqp.refused', { ip: '192.0.2.1', reason: 'no' });
  log.write('queue.trouble', { reason: 'disk full' });
  log.write('queue.spill-failed', { reason: 'x' });
  assert.equal(
    printed(),
    'qmqp.refused ip=192.0.2.1 reason=no\nwarning: queue.trouble reason="disk full"\nwarning: queue.spill-failed reason=x\n',
  );
});

test('one notice for several messages, or on request, is a new message once', () => {
  const told = { kind: 'single', recipient: bytesOf('a@b') };
  log.write('bounce', { id: 1, bounceId: 9, ...told, bytes: 70, together: 2 });
  log.write('bounce', { id: 2, bounceId: 9, ...told, together: 2 });
  log.write('notice', { id: 3, bounceId: 10, kind: 'delayed', recipient: bytesOf('x@y'), bytes: 80 });
  log.write('notice', { id: 3, bounceId: 10, kind: 'delayed', recipient: bytesOf('z@y') });
  assert.equal(
    printed(),
    `bounce msg 1 qp 9
new msg 9
info msg 9: bytes 70 from <> qp 9 uid 12
bounce msg 2 qp 9
notice id=3 bounceId=10 kind=delayed recipient=x@y bytes=80
new msg 10
info msg 10: bytes 80 from <> qp 10 uid 12
notice id=3 bounceId=10 kind=delayed recipient=z@y
`,
  );
});
