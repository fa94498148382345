// What mails on a real host, against a null client that `mini-qmail install` has just laid out: cron, mail(1), git
// send-email, PHP, Python, busybox. Each calls PREFIX/bin/sendmail as it calls any other; the hub delivers to a
// mailbox, and the message there is compared to the byte, envelope sender included.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { HubProcess, makeHome, readMailbox, removeHome } from '../support/hub-process.ts';
import { findPeer, missingPeers } from '../support/peers.ts';
import { fresh, installed } from '../support/run-install.ts';

const USER = userInfo().username;
const DOMAIN = 'corp.example';

/** Volatile parts of what a mailer or qmail-inject writes. */
const PATTERNS: readonly (readonly [placeholder: string, pattern: string])[] = [
  ['@DATE@', '\\d{1,2} [A-Z][a-z]{2} \\d{4} \\d\\d:\\d\\d:\\d\\d -0000'],
  ['@RFCDATE@', '[A-Z][a-z]{2}, [ \\d]\\d [A-Z][a-z]{2} \\d{4} \\d\\d:\\d\\d:\\d\\d [+-]\\d{4}'],
  ['@ID@', '<\\d{14}\\.\\d+\\.qmail@this\\.host\\.example>'],
  ['@GITID@', '<[\\w.-]+@[\\w.-]+>'],
  ['@GITVERSION@', '\\d[\\w.]*'],
];

/** One caller of sendmail. */
interface Mailer {
  readonly title: string;
  /** Programs that it needs. */
  readonly peers?: readonly string[];
  /** Mailbox at {@link DOMAIN} that gets it. */
  readonly local: string;
  /** Command and its input; the folder is empty, for files. */
  readonly call: (sendmail: string, folder: string) => MailerCall;
  readonly sender: string;
  /** The message as the hub must have it; placeholders of {@link PATTERNS}. */
  readonly message: string;
}

interface MailerCall {
  readonly argv: readonly [string, ...string[]];
  readonly input: string;
  readonly env?: Readonly<Record<string, string>>;
}

const MIME =
  'MIME-Version: 1.0\nContent-Type: text/plain; charset="UTF-8"\nContent-Transfer-Encoding: 8bit\n';

const MAILERS: readonly Mailer[] = [
  {
    title: "cron's call: -i -FCronDaemon -B8BITMIME -oem and the user's name",
    local: 'jobs',
    call: (sendmail) => ({
      argv: [sendmail, '-i', '-FCronDaemon', '-B8BITMIME', '-oem', `jobs@${DOMAIN}`],
      input: `From: root (Cron Daemon)\nTo: jobs@${DOMAIN}\nSubject: Cron <root@h> /bin/backup\nX-Cron-Env: <SHELL=/bin/sh>\n\n.\ntwo of 3 disks are fine\n.\n`,
    }),
    sender: `${USER}@${DOMAIN}`,
    message: `Date: @DATE@\nMessage-ID: @ID@\nFrom: root@${DOMAIN} (Cron Daemon)\nTo: jobs@${DOMAIN}\nSubject: Cron <root@h> /bin/backup\nX-Cron-Env: <SHELL=/bin/sh>\n\n.\ntwo of 3 disks are fine\n.\n`,
  },
  {
    title: "the newer cron's call: -FCronDaemon -i -B8BITMIME -oem -t",
    local: 'newcron',
    call: (sendmail) => ({
      argv: [sendmail, '-FCronDaemon', '-i', '-B8BITMIME', '-oem', '-t'],
      input: `To: newcron@${DOMAIN}\nSubject: x\n\nout\n`,
    }),
    sender: `${USER}@${DOMAIN}`,
    message: `Date: @DATE@\nMessage-ID: @ID@\nFrom: "CronDaemon" <${USER}@${DOMAIN}>\nTo: newcron@${DOMAIN}\nSubject: x\n\nout\n`,
  },
  {
    title: "busybox crond's call: -ti, with a Bcc",
    local: 'busybox',
    call: (sendmail) => ({
      argv: [sendmail, '-ti'],
      input: `To: elsewhere@${DOMAIN}\nBcc: busybox@${DOMAIN}\nSubject: b\n\nbody\n`,
    }),
    sender: `${USER}@${DOMAIN}`,
    message: `Date: @DATE@\nMessage-ID: @ID@\nFrom: ${USER}@${DOMAIN}\nTo: elsewhere@${DOMAIN}\nSubject: b\n\nbody\n`,
  },
  {
    title: 'busybox-style flags of scripts: -f SENDER -oi -t -v in one call',
    local: 'flags',
    call: (sendmail) => ({
      argv: [sendmail, '-f', 'alerts@other.example', '-oi', '-t', '-v'],
      input: `From: alerts@other.example\nTo: flags@${DOMAIN}\nDate: 1 Jan 2026 00:00:00 -0000\nMessage-ID: <1@other.example>\n\nno subject\n`,
    }),
    sender: 'alerts@other.example',
    message: `From: alerts@other.example\nTo: flags@${DOMAIN}\nDate: 1 Jan 2026 00:00:00 -0000\nMessage-ID: <1@other.example>\n\nno subject\n`,
  },
  {
    title: 'mail(1) of bsd-mailx with -s, -c and an eight-bit body',
    peers: ['bsd-mailx'],
    local: 'mailx',
    call: (sendmail, folder) => {
      writeFileSync(join(folder, 'rc'), `set sendmail=${sendmail} sendwait\n`);
      return {
        argv: [findPeer('bsd-mailx') ?? '', '-s', 'disk full', '-c', `cc@${DOMAIN}`, `mailx@${DOMAIN}`],
        input: 'df: \xc3\xa4\nlast line without its end',
        env: { MAILRC: join(folder, 'rc'), LC_ALL: 'C.UTF-8' },
      };
    },
    sender: `${USER}@${DOMAIN}`,
    message: `Date: @DATE@\nMessage-ID: @ID@\nFrom: ${USER}@${DOMAIN}\nTo: mailx@${DOMAIN}\nSubject: disk full\nCc: cc@${DOMAIN}\n${MIME}\ndf: \xc3\xa4\nlast line without its end\n`,
  },
  {
    title: 'git send-email --smtp-server=PREFIX/bin/sendmail',
    peers: ['git', 'git-send-email'],
    local: 'patches',
    call: (sendmail, folder) => {
      const patch = join(folder, '0001.patch');
      writeFileSync(
        patch,
        'From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\nFrom: Dev <dev@corp.example>\nDate: Thu, 1 Jan 2026 00:00:00 +0000\nSubject: [PATCH] mend it\n\n.\n---\n f | 1 +\n',
      );
      return {
        argv: [
          'git',
          'send-email',
          '--quiet',
          '--confirm=never',
          '--suppress-cc=all',
          '--from=Dev <dev@corp.example>',
          '--envelope-sender=bounces@corp.example',
          `--to=patches@${DOMAIN}`,
          `--smtp-server=${sendmail}`,
          patch,
        ],
        input: '',
        env: { HOME: folder, GIT_CONFIG_NOSYSTEM: '1', EMAIL: 'Dev <dev@corp.example>' },
      };
    },
    sender: 'bounces@corp.example',
    message: `From: Dev <dev@corp.example>\nTo: patches@${DOMAIN}\nSubject: [PATCH] mend it\nDate: @RFCDATE@\nMessage-Id: @GITID@\nX-Mailer: git-send-email @GITVERSION@\nMIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\n\n.\n---\n f | 1 +\n`,
  },
  {
    title: "PHP's mail() with sendmail_path = sendmail -t -i and -f",
    peers: ['php'],
    local: 'php',
    call: (sendmail) => ({
      argv: [
        'php',
        '-n',
        '-d',
        `sendmail_path=${sendmail} -t -i`,
        '-r',
        `exit(mail("php@${DOMAIN}", "from php", "line one\\n.\\nline three", "From: Shop <shop@corp.example>\\r\\nX-K: v", "-fweb@corp.example") ? 0 : 1);`,
      ],
      input: '',
    }),
    sender: 'web@corp.example',
    // PHP 8 ends lines with CR LF. To qmail-inject, and so here, CR is an ordinary byte and CR LF alone is no blank line.
    message: `Date: @DATE@\nMessage-ID: @ID@\nTo: php@${DOMAIN}\nSubject: from php\r\nFrom: Shop <shop@corp.example>\nX-K: v\r\n\n\r\nline one\n.\nline three\r\n`,
  },
  {
    title: "Python's subprocess call: sendmail -t -oi with an email.message",
    peers: ['python3'],
    local: 'python',
    call: (sendmail) => ({
      argv: [
        'python3',
        '-c',
        `
import subprocess, sys
from email.message import EmailMessage
m = EmailMessage()
m["From"] = "App <app@corp.example>"
m["To"] = "python@${DOMAIN}"
m["Subject"] = "gr\\u00fc\\u00dfe"
m.set_content("body\\n.\\n")
sys.exit(subprocess.run([sys.argv[1], "-t", "-oi"], input=m.as_bytes()).returncode)
`,
        sendmail,
      ],
      input: '',
    }),
    sender: `${USER}@${DOMAIN}`,
    message: `Date: @DATE@\nMessage-ID: @ID@\nFrom: App <app@corp.example>\nTo: python@${DOMAIN}\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\nContent-Type: text/plain; charset="utf-8"\nContent-Transfer-Encoding: 7bit\nMIME-Version: 1.0\n\nbody\n.\n`,
  },
];

describe('a null client made by mini-qmail install', () => {
  let home: string;
  let prefix: string;
  let hub: HubProcess;
  before(async () => {
    home = makeHome({ locals: `${DOMAIN}\n`, concurrencyremote: '0\n' });
    hub = await HubProcess.start(home);
    prefix = fresh();
    const server = `qmqp://127.0.0.1:${hub.port}`;
    const names = ['--me', DOMAIN, '--idhost', 'this.host.example'];
    installed(prefix, '--role', 'client', '--server', server, ...names);
  });
  after(async () => {
    await hub.end('SIGKILL');
    removeHome(home);
  });

  for (const mailer of MAILERS) {
    it(`delivers ${mailer.title}`, { skip: missingPeers(...(mailer.peers ?? [])) }, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'mini-qmail-mailer-'));
      try {
        await run(mailer.call(join(prefix, 'bin/sendmail'), folder));
        await hub.untilLogged(new RegExp(`delivery\\.success .*recipient=${mailer.local}@`));
        const [stored, ...more] = readMailbox(home, DOMAIN, mailer.local);
        assert.equal(more.length, 0);
        assert.match(stored ?? '', expected(mailer));
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  }

  it('loses none of 1,000 messages of which 100 processes send at any time', {
    timeout: 240_000,
  }, async () => {
    const sendmail = join(prefix, 'bin/sendmail');
    let started = 0;
    const worker = async () => {
      while (started < 1000) {
        const n = started++;
        const input = `Subject: ${n}\n\n${n}\n`;
        await run({ argv: [sendmail, '-i', `many@${DOMAIN}`], input });
      }
    };
    await Promise.all(Array.from({ length: 100 }, worker));
    await hub.untilLogged(/delivery\.success .*recipient=many@/, 1000);
    const bodies = readMailbox(home, DOMAIN, 'many').map((text) =>
      Number(text.slice(text.indexOf('\n\n') + 2)),
    );
    assert.deepEqual(
      bodies.sort((a, b) => a - b),
      Array.from({ length: 1000 }, (_, n) => n),
    );
  });
});

/** Runs a mailer and expects that it is content. */
async function run({ argv, input, env = {} }: MailerCall): Promise<void> {
  const [command, ...args] = argv;
  const child = spawn(command, args, {
    env: { PATH: process.env['PATH'], LOGNAME: USER, USER, ...env },
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  let complaint = '';
  child.stderr.setEncoding('latin1').on('data', (text: string) => {
    complaint += text;
  });
  child.stdin.on('error', () => {});
  child.stdin.end(Buffer.from(input, 'latin1'));
  const [exit] = await once(child, 'close');
  assert.deepEqual({ exit, complaint }, { exit: 0, complaint: '' });
}

/** The file in the mailbox: what the hub puts on top, and the message. */
function expected({ local, sender, message }: Mailer): RegExp {
  const trace = `Return-Path: <${sender}>\nDelivered-To: ${local}@${DOMAIN}\nReceived: from unknown (127.0.0.1)\n  by hub.example with QMQP; @DATE@\n`;
  let pattern = (trace + message).replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  for (const [placeholder, replacement] of PATTERNS) pattern = pattern.replaceAll(placeholder, replacement);
  return new RegExp(`^${pattern}$`);
}
