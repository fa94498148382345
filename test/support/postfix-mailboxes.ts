// Postfix that delivers into Maildirs, as smarthost and as mail exchanger: several ways in, each with its own idea of whom it
// takes mail from, and for which words.

import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IssuedCertificate } from './authority.ts';
import { freePort } from './peers.ts';
import { type Postfix, startPostfix } from './postfix.ts';

/** Postfix delivers as nobody who is root. */
const NOBODY = 65_534;
const BOXES = ['ann', 'utf8'];

/** Ways in, with what differs from the settings for all. */
const WAYS = {
  plain: {},
  tls: { smtpd_tls_security_level: 'may' },
  onlyTls: { smtpd_tls_security_level: 'encrypt' },
  login: {
    smtpd_tls_security_level: 'may',
    smtpd_sasl_auth_enable: 'yes',
    smtpd_recipient_restrictions: 'permit_sasl_authenticated,reject',
  },
  small: { message_size_limit: '5000' },
  ascii: { smtpd_discard_ehlo_keywords: 'smtputf8,8bitmime,pipelining,size' },
  few: { smtpd_recipient_limit: '2' },
  choosy: { smtpd_delay_reject: 'no', smtpd_sender_restrictions: 'reject' },
} as const;

/** Addresses of this machine that hardly another run of the tests has at the same time. */
const NETWORK = `127.25.${(process.pid >> 7) & 255}`;
/** Where it is a mail exchanger, on port 25. */
export const MX_ADDRESS = `${NETWORK}.${(process.pid & 127) + 1}`;
/** Where nobody is. */
export const DEAD_ADDRESS = `${NETWORK}.${(process.pid & 127) + 128}`;

/** What it needs. */
export interface MailboxesOptions {
  readonly certificate: IssuedCertificate;
  /** Dovecot's socket for passwords. */
  readonly auth: string;
  /** All of their addresses belong to the mailbox `ann`. */
  readonly domains: readonly string[];
}

/** A running one. */
export class PostfixMailboxes {
  readonly ports: Readonly<Record<keyof typeof WAYS, number>>;
  readonly #folder: string;
  readonly #postfix: Postfix;

  private constructor(folder: string, postfix: Postfix, ports: PostfixMailboxes['ports']) {
    this.#folder = folder;
    this.#postfix = postfix;
    this.ports = ports;
  }

  /** Starts it. Of far.example it knows ann and jürgen only. */
  static async start({ certificate, auth, domains }: MailboxesOptions): Promise<PostfixMailboxes> {
    const folder = mkdtempSync(join(tmpdir(), 'hub-postfix-'));
    // Postfix's own user has to get at its queue.
    chmodSync(folder, 0o755);
    makeMailboxes(folder);
    writeFileSync(join(folder, 'server.pem'), certificate.key + certificate.cert, { mode: 0o600 });
    const ports = {} as Record<keyof typeof WAYS, number>;
    const services = ['tlsmgr unix - - n 1000? 1 tlsmgr', `${MX_ADDRESS}:25 inet n - n - - smtpd`];
    services.push('  -o smtpd_tls_security_level=may');
    for (const way of Object.keys(WAYS) as (keyof typeof WAYS)[]) {
      ports[way] = await freePort();
      if (way !== 'plain') services.push(`127.0.0.1:${ports[way]} inet n - n - - smtpd`);
      for (const [name, value] of Object.entries(WAYS[way])) services.push(`  -o ${name}=${value}`);
    }
    const boxes = [
      'ann@far.example=ann/',
      'jürgen@far.example=utf8/',
      ...domains.map((name) => `@${name}=ann/`),
    ];
    const settings = {
      virtual_mailbox_domains: ['far.example', ...domains].join(', '),
      virtual_mailbox_base: `${folder}/mail`,
      virtual_mailbox_maps: `inline:{ ${boxes.join(', ')} }`,
      virtual_uid_maps: `static:${NOBODY}`,
      virtual_gid_maps: `static:${NOBODY}`,
      // Nothing is added to a header that lacks something.
      local_header_rewrite_clients: '',
      smtputf8_enable: 'yes',
      smtpd_tls_chain_files: `${folder}/server.pem`,
      smtpd_tls_received_header: 'yes',
      smtpd_sasl_type: 'dovecot',
      smtpd_sasl_path: auth,
      smtpd_sasl_authenticated_header: 'yes',
    };
    const options = { isLeaving: true, settings, services } as const;
    const postfix = await startPostfix(folder, ports.plain, { service: 'smtpd', ...options });
    return new PostfixMailboxes(folder, postfix, ports);
  }

  /** Contents of the messages in a mailbox, in no order, once there are so many. */
  async arrived(box: string, count = 1): Promise<string[]> {
    const path = join(this.#folder, 'mail', box, 'new');
    const watcher = watch(path);
    try {
      while (readdirSync(path).length < count) await once(watcher, 'change');
    } finally {
      watcher.close();
    }
    return readdirSync(path).map((name) => readFileSync(join(path, name), 'latin1'));
  }

  /** Removes all messages. */
  empty(): void {
    rmSync(join(this.#folder, 'mail'), { recursive: true });
    makeMailboxes(this.#folder);
  }

  async stop(): Promise<void> {
    await this.#postfix.stop();
    rmSync(this.#folder, { recursive: true });
  }
}

function makeMailboxes(folder: string): void {
  const boxes = BOXES.flatMap((box) => ['', '/tmp', '/new', '/cur'].map((part) => box + part));
  for (const path of ['', ...boxes].map((name) => join(folder, 'mail', name))) {
    mkdirSync(path);
    chownSync(path, NOBODY, NOBODY);
  }
}
