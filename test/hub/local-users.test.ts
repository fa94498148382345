// The hub's mail for users of this machine: users/cdb, hub-lspawn and qmail-local together, as real processes.

import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { HubProcess, readMailbox, submit } from '../support/hub-process.ts';
import { hasEnded, LocalHome, whyNoUser } from '../support/local-home.ts';

const noUser = { skip: whyNoUser() ?? false };

let home: LocalHome;
let hub: HubProcess | undefined;
beforeEach(() => {
  home = new LocalHome(['=joe:joe:UID:GID:HOME:::', '+joe-:joe:UID:GID:HOME:-::', '=boss:root:0:0:HOME:::']);
});
afterEach(async () => {
  await hub?.end('SIGKILL');
  hub = undefined;
  home.remove();
});

/** Starts a hub, and sends the message to each of the local parts. */
async function send(...locals: string[]): Promise<void> {
  hub ??= await HubProcess.start(home.path);
  for (const local of locals) {
    const reply = await submit(
      hub.port,
      'Subject: x\n\nFrom here\nend',
      'a@b.example',
      `${local}@hub.example`,
    );
    assert.match(reply, /^K/);
  }
}

/** What the log says of a delivery, from the address on; waits for it. */
async function outcome(local: string): Promise<string> {
  const pattern = new RegExp(
    `delivery\\.(\\w+) id=\\d+ channel=local recipient=${local}@hub\\.example text=(.*) ms=`,
  );
  await hub!.untilLogged(pattern);
  const [, kind, text] = pattern.exec(hub!.log.text)!;
  return `${kind} ${text}`;
}

const RECEIVED = 'Received: from unknown \\(127\\.0\\.0\\.1\\)\n  by hub\\.example with QMQP; [^\n]*\n';

describe('the hub with users/cdb', noUser, () => {
  it('delivers to mbox, Maildir and program, byte for byte, and forwards into its own queue', async () => {
    home.makeMaildir('Maildir');
    home.put('.qmail-dir', './Maildir/\n');
    home.put('.qmail-prog', `|cat > message; echo "$RECIPIENT $EXT"; id -u; echo three >&2; echo four\n`);
    home.put('.qmail-fwd', '&ann@hub.example\n');
    home.put('.qmail-loop', '&joe-loop@hub.example\n');
    await send('Joe', 'joe-dir', 'joe-PROG', 'joe-fwd', 'joe-none', 'joe-loop');
    assert.equal(await outcome('Joe'), 'success "did 1+0+0/"');
    assert.equal(await outcome('joe-dir'), 'success "did 1+0+0/"');
    const printed = `joe-PROG@hub.example PROG/${home.uid}/three/four/did 0+0+1/`;
    assert.equal(await outcome('joe-PROG'), `success "${printed}"`);
    assert.match(await outcome('joe-fwd'), /^success "did 0\+1\+0\/qp \d+\/"$/);
    assert.equal(await outcome('joe-none'), 'failure "Sorry, no mailbox here by that name. (#5.1.1)/"');
    await hub!.untilLogged(
      /recipient=joe-loop@hub\.example text="This message is looping: it already has my/,
    );
    await outcome('ann');
    const text = 'Subject: x\n\nFrom here\nend';
    const top = (local: string) => `Return-Path: <a@b\\.example>\nDelivered-To: ${local}@hub\\.example\n`;
    assert.match(
      home.read('Mailbox'),
      new RegExp(`^From a@b\\.example [^\n]*\n${top('Joe')}${RECEIVED}Subject: x\n\n>From here\nend\n\n$`),
    );
    assert.match(home.readMaildir('Maildir')[0]!, new RegExp(`^${top('joe-dir')}${RECEIVED}${text}$`));
    assert.match(home.read('message'), new RegExp(`^${RECEIVED}${text}$`));
    const [forwarded] = readMailbox(home.path, 'hub.example', 'ann');
    const by = 'Received: \\(qmail \\d+ invoked by uid \\d+\\);[^\n]*\nDelivered-To: joe-fwd@hub\\.example\n';
    assert.match(forwarded!, new RegExp(`^${top('ann')}${by}${RECEIVED}${text}$`));
  });

  it('keeps mail of everybody else in its own mailboxes, and never delivers as root', async () => {
    await send('ann', 'boss');
    assert.equal(await outcome('ann'), 'success "did 1+0+0/"');
    assert.equal(readMailbox(home.path, 'hub.example', 'ann').length, 1);
    assert.equal(await outcome('boss'), 'deferral "Not allowed to perform deliveries as root./"');
  });

  it('gives mail to qmail-local alone, or to no user at all, if control/localdelivery says so', async () => {
    const record = ['alias', home.uid, home.gid, home.folder, '-', 'other', ''].join('\\000');
    const getpw = join(home.path, 'bin/getpw');
    writeFileSync(getpw, `#!/bin/sh\nprintf '${record}'\n`);
    chmodSync(getpw, 0o755);
    home.replaceProgram('qmail-getpw', getpw);
    home.control('localdelivery', 'qmail\n');
    home.control('defaultdelivery', './first\n|echo "$USER $EXT"\n');
    home.put('.qmail-other', '');
    await send('nosuch', 'joe');
    assert.equal(await outcome('nosuch'), 'success "alias other/did 1+0+1/"');
    assert.equal(await outcome('joe'), 'success "joe /did 1+0+1/"');
    home.control('localdelivery', 'mail\n');
    await send('joe');
    await hub!.untilLogged(/recipient=joe@hub\.example text="did 1\+0\+0\/"/);
    assert.equal(readMailbox(home.path, 'hub.example', 'joe').length, 1);
    home.control('localdelivery', 'perhaps\n');
    await send('bob');
    assert.match(
      await outcome('bob'),
      /^deferral "Unable to tell whose mail this is: Cannot understand .*localdelivery/,
    );
  });

  it('ends a program and all that it started when it takes too long, and cuts long reports', async () => {
    home.control('timeoutlocal', '1\n');
    home.put('.qmail-hang', `|trap '' TERM; echo going on; sleep 1000 & echo $! > child; wait; sleep 1000\n`);
    home.put('.qmail-loud', `|head -c 3000000 /dev/zero | tr '\\0' x; exit 100\n`);
    await send('joe-loud', 'joe-hang');
    const loud = await outcome('joe-loud');
    assert.equal(loud.replace(/x+/, 'x'), 'failure "x/Error report too long, sorry./"');
    assert.equal(/x{2966}/.exec(loud)?.[0].length, 2966);
    const text = 'Delivery took longer than 1 seconds and was ended. (#4.3.0)/going on/';
    assert.equal(await outcome('joe-hang'), `deferral "${text}"`);
    // The signal has been sent; that is all there is to wait for.
    while (!hasEnded(Number(home.read('child')))) await setImmediate();
  });

  it('stops within its time while programs hang or are left behind, and delivers again after a restart', async () => {
    home.put('.qmail-wait', '|echo $PPID >> starts; exec sleep 1000\n');
    home.put('.qmail-left', '|sleep 1000 & echo $! > left\n');
    await send('joe-wait', 'joe-left');
    await Promise.all(['starts', 'left'].map((file) => home.untilWritten(file)));
    assert.equal(await hub!.end(), 0);
    // Its output stays open; that does not hold it up for long.
    assert.equal(await outcome('joe-left'), 'success "did 0+0+1/"');
    process.kill(Number(home.read('left')), 'SIGKILL');
    assert.match(hub!.log.text, /hub\.cut/);
    process.kill(-Number(home.read('starts')), 'SIGKILL');
    home.put('.qmail-wait', './Mailbox\n');
    hub = undefined;
    await send();
    assert.equal(await outcome('joe-wait'), 'success "did 1+0+0/"');
  });
});
