// Delivery to the mailboxes that the hub owns: Maildirs at HOME/mail/DOMAIN/LOCAL/, made at their first message. K is
// reported only when the message, its name in new/ and the folders above are on stable storage; a reader never sees
// half a message. maildir-name.ts says how an address becomes a path. Source: cr.yp.to/proto/maildir.html, maildir(5).

import { link } from 'node:fs';
import { bytesOf, concatBytes } from '../core/bytes/bytes.ts';
import { domainOf } from '../core/format/domain-map.ts';
import { formatMessageName, mailboxPath } from '../core/format/maildir-name.ts';
import { quoteAddress } from '../core/message/quote.ts';
import type { Outcome } from '../core/policy/outcome.ts';
import type { Clock } from '../host/clock.ts';
import { type Files, NODE_FILES } from '../host/files.ts';
import { errorCode } from '../host/system-error.ts';
import { FolderFlusher } from './folder-flusher.ts';
import type { LocalDelivery, LocalTransport } from './transport.ts';

/** What a Maildir needs of the file system. */
export interface MaildirFiles extends Pick<Files, 'open' | 'makeFolder' | 'remove' | 'flushFolder'> {
  /** Gives a file a second name; fails if that exists. */
  link(from: string, to: string): Promise<void>;
}

/** The machine's file system. */
export const NODE_MAILDIR_FILES: MaildirFiles = {
  ...NODE_FILES,
  link: (from, to) =>
    new Promise((resolve, reject) => {
      link(from, to, (error) => (error ? reject(error) : resolve()));
    }),
};

/** Where and who we are. */
export interface MaildirSettings {
  /** Folder above `mail/`; it exists. */
  readonly home: string;
  readonly clock: Clock;
  /** This host's name, part of every message's file name. */
  readonly host: string;
  readonly files?: MaildirFiles;
}

const KNOWN_MAILBOXES_MAX = 10_000;
const NAME_ATTEMPTS = 3;
const LF = 10;
const UNDERSCORE = 95;
const DELIVERED: Outcome = { letter: 'K', text: 'did 1+0+0\n' };
const NO_MAILBOX: Outcome = { letter: 'D', text: 'Sorry, no mailbox can have that name. (#5.1.3)\n' };

/** Delivers to Maildirs below `HOME/mail`. */
export class MaildirTransport implements LocalTransport {
  readonly #settings: MaildirSettings;
  readonly #files: MaildirFiles;
  readonly #flusher: FolderFlusher;
  /** Mailboxes whose folders this process knows to be on stable storage, and those being made. */
  readonly #known = new Set<string>();
  readonly #making = new Map<string, Promise<void>>();
  #count = 0;

  constructor(settings: MaildirSettings) {
    this.#settings = settings;
    this.#files = settings.files ?? NODE_MAILDIR_FILES;
    this.#flusher = new FolderFlusher((folder) => this.#files.flushFolder(folder));
  }

  /**
   * Writes the message with its Return-Path and Delivered-To fields. An address with an empty local part is accepted
   * and dropped, as qmail-lspawn does.
   */
  async deliver(delivery: LocalDelivery): Promise<Outcome> {
    if (domainOf(delivery.address)?.length === delivery.address.length - 1) return { letter: 'K', text: '' };
    const path = mailboxPath(delivery.address);
    if (path === undefined) return NO_MAILBOX;
    const folder = `${this.#settings.home}/mail/${path}`;
    try {
      await this.#deliverTo(folder, formatDelivered(delivery));
      return DELIVERED;
    } catch (error) {
      const reason = errorCode(error) ?? 'unexpected error';
      return { letter: 'Z', text: `Temporary error on maildir delivery: ${reason}. (#4.3.0)\n` };
    }
  }

  async #deliverTo(folder: string, content: Uint8Array): Promise<void> {
    if (!this.#known.has(folder)) await this.#make(folder);
    try {
      await this.#store(folder, content);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      // Somebody removed the mailbox since we knew it.
      await this.#make(folder);
      await this.#store(folder, content);
    }
  }

  async #store(folder: string, content: Uint8Array): Promise<void> {
    const name = await this.#write(folder, content);
    const tmp = `${folder}/tmp/${name}`;
    const stored = `${folder}/new/${name}`;
    try {
      await this.#files.link(tmp, stored);
    } catch (error) {
      await this.#removeQuietly(tmp);
      throw error;
    }
    try {
      await Promise.all([this.#flusher.flush(`${folder}/new`), this.#removeQuietly(tmp)]);
    } catch (error) {
      // It will be delivered again; take this copy back if that is still possible.
      await this.#removeQuietly(stored);
      throw error;
    }
  }

  /** Writes and flushes a file of a new name in tmp/; returns the name. */
  async #write(folder: string, content: Uint8Array): Promise<string> {
    for (let attempt = 1; ; attempt++) {
      const name = this.#nextName();
      const path = `${folder}/tmp/${name}`;
      try {
        const file = await this.#files.open(path, { create: true });
        try {
          await file.write(content, 0);
          await file.flush();
        } finally {
          await file.close();
        }
        return name;
      } catch (error) {
        const taken = errorCode(error) === 'EEXIST';
        if (taken && attempt < NAME_ATTEMPTS) continue;
        if (!taken) await this.#removeQuietly(path);
        throw error;
      }
    }
  }

  /** Makes the mailbox's folders if they are missing and brings them to stable storage; shared by all who wait for it. */
  #make(folder: string): Promise<void> {
    const making = this.#making.get(folder);
    if (making !== undefined) return making;
    const made = this.#makeFolders(folder).finally(() => this.#making.delete(folder));
    this.#making.set(folder, made);
    return made;
  }

  async #makeFolders(folder: string): Promise<void> {
    for (const part of ['tmp', 'new', 'cur']) await this.#files.makeFolder(`${folder}/${part}`);
    const mail = `${this.#settings.home}/mail`;
    const domain = folder.slice(0, folder.lastIndexOf('/'));
    await Promise.all([folder, domain, mail, this.#settings.home].map((one) => this.#flusher.flush(one)));
    if (this.#known.size >= KNOWN_MAILBOXES_MAX) this.#known.clear();
    this.#known.add(folder);
  }

  #nextName(): string {
    const nowMs = this.#settings.clock.nowMs();
    const micros = (Math.floor(nowMs) % 1000) * 1000;
    return formatMessageName({
      nowMs,
      micros,
      pid: process.pid,
      count: ++this.#count,
      host: this.#settings.host,
    });
  }

  async #removeQuietly(path: string): Promise<void> {
    try {
      await this.#files.remove(path);
    } catch {
      // A file left in tmp/ is what Maildir readers clean up after 36 hours.
    }
  }
}

/** The message with `Return-Path: <SENDER>` and `Delivered-To: ADDRESS` on top; a LF in an address becomes `_`. */
function formatDelivered({ sender, address, message }: LocalDelivery): Uint8Array {
  return concatBytes([
    bytesOf('Return-Path: <'),
    onOneLine(quoteAddress(sender)),
    bytesOf('>\nDelivered-To: '),
    onOneLine(address),
    bytesOf('\n'),
    message,
  ]);
}

function onOneLine(bytes: Uint8Array): Uint8Array {
  return bytes.includes(LF) ? bytes.map((byte) => (byte === LF ? UNDERSCORE : byte)) : bytes;
}
