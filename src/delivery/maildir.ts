// Delivery to the mailboxes that the hub owns: Maildirs at HOME/mail/DOMAIN/LOCAL/, made at their first message. K is
// reported only when the message, its name in new/ and the folders above are on stable storage; a reader never sees
// half a message. maildir-name.ts says how an address becomes a path. Source: cr.yp.to/proto/maildir.html, maildir(5).

import { link } from 'node:fs';
import { concatBytes } from '../core/bytes/bytes.ts';
import { domainOf } from '../core/format/domain-map.ts';
import { formatMessageName, mailboxPath } from '../core/format/maildir-name.ts';
import { formatDeliveredTo, formatReturnPath, HeaderLineFinder } from '../core/message/delivery-lines.ts';
import type { Outcome } from '../core/policy/outcome.ts';
import type { Clock } from '../host/clock.ts';
import { type Files, NODE_FILES, type OpenFile } from '../host/files.ts';
import { errorCode } from '../host/system-error.ts';
import { FolderFlusher } from './folder-flusher.ts';
import type { LocalDelivery, LocalTransport } from './transport.ts';

/** What a Maildir needs of the file system. */
export interface MaildirFiles extends Pick<Files, 'open' | 'list' | 'makeFolder' | 'remove' | 'flushFolder'> {
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
const DELIVERED: Outcome = { letter: 'K', text: 'did 1+0+0\n' };
const LOOP: Outcome = {
  letter: 'D',
  text: 'This message is looping: it already has my Delivered-To line. (#5.4.6)\n',
};
const NO_MAILBOX: Outcome = { letter: 'D', text: 'Sorry, no mailbox can have that name. (#5.1.3)\n' };

/** Delivers to Maildirs below `HOME/mail`. */
export class MaildirTransport implements LocalTransport {
  readonly #settings: MaildirSettings;
  readonly #files: MaildirFiles;
  readonly #flusher: FolderFlusher;
  /** Mailboxes whose folders this process knows to be on stable storage, and those being made. */
  readonly #known = new Set<string>();
  readonly #making = new Map<string, Promise<void>>();
  readonly #startMs: number;

  constructor(settings: MaildirSettings) {
    this.#settings = settings;
    this.#files = settings.files ?? NODE_MAILDIR_FILES;
    this.#startMs = settings.clock.nowMs();
    this.#flusher = new FolderFlusher((folder) => this.#files.flushFolder(folder));
  }

  /**
   * Writes the message with its Return-Path and Delivered-To fields, unless it has that Delivered-To field already. An address with an empty local part is accepted
   * and dropped, as qmail-lspawn does.
   */
  async deliver(delivery: LocalDelivery): Promise<Outcome> {
    if (domainOf(delivery.address)?.length === delivery.address.length - 1) return { letter: 'K', text: '' };
    const path = mailboxPath(delivery.address);
    if (path === undefined) return NO_MAILBOX;
    if (isLooping(delivery)) return LOOP;
    const folder = `${this.#settings.home}/mail/${path}`;
    try {
      await this.#deliverTo(folder, delivery);
      return DELIVERED;
    } catch (error) {
      const reason = errorCode(error) ?? 'unexpected error';
      return { letter: 'Z', text: `Temporary error on maildir delivery: ${reason}. (#4.3.0)\n` };
    }
  }

  async #deliverTo(folder: string, delivery: LocalDelivery): Promise<void> {
    const name = formatMessageName(delivery.identity, this.#settings.host);
    const content = formatDelivered(delivery);
    if (!this.#known.has(folder)) await this.#make(folder);
    // A message from before this process may have been delivered by the last one, which then lost the verdict.
    if (delivery.identity.birthMs < this.#startMs && (await this.#has(folder, name))) return;
    try {
      await this.#store(folder, name, content);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      // Somebody removed the mailbox since we knew it.
      await this.#make(folder);
      await this.#store(folder, name, content);
    }
  }

  /** Whether the message is in the mailbox, new or seen; if so, its name is on stable storage. */
  async #has(folder: string, name: string): Promise<boolean> {
    for (const part of [`${folder}/new`, `${folder}/cur`]) {
      const names = await this.#files.list(part);
      if (!names.some((one) => one === name || one.startsWith(`${name}:`))) continue;
      await this.#flusher.flush(part);
      return true;
    }
    return false;
  }

  async #store(folder: string, name: string, content: Uint8Array): Promise<void> {
    const tmp = `${folder}/tmp/${name}`;
    const stored = `${folder}/new/${name}`;
    await this.#write(tmp, content);
    try {
      await this.#files.link(tmp, stored);
    } catch (error) {
      await this.#removeQuietly(tmp);
      // There from an attempt that failed after this point, and could not take it back.
      if (errorCode(error) !== 'EEXIST') throw error;
    }
    try {
      await Promise.all([this.#flusher.flush(`${folder}/new`), this.#removeQuietly(tmp)]);
    } catch (error) {
      // It will be delivered again; take this copy back if that is still possible.
      await this.#removeQuietly(stored);
      throw error;
    }
  }

  /** Writes and flushes the file in tmp/. */
  async #write(path: string, content: Uint8Array): Promise<void> {
    try {
      const file = await this.#create(path);
      try {
        await file.write(content, 0);
        await file.flush();
      } finally {
        await file.close();
      }
    } catch (error) {
      await this.#removeQuietly(path);
      throw error;
    }
  }

  async #create(path: string): Promise<OpenFile> {
    try {
      return await this.#files.open(path, { create: true });
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
      // The name is ours alone: what has it was left by an attempt that was cut off.
      await this.#files.remove(path);
      return this.#files.open(path, { create: true });
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

  async #removeQuietly(path: string): Promise<void> {
    try {
      await this.#files.remove(path);
    } catch {
      // A file left in tmp/ is what Maildir readers clean up after 36 hours.
    }
  }
}

/** The message with its Return-Path and Delivered-To lines on top. */
function formatDelivered({ sender, address, message }: LocalDelivery): Uint8Array {
  return concatBytes([formatReturnPath(sender), formatDeliveredTo(address), message]);
}

/** Whether the message was in this mailbox before, and somebody sends it back. */
function isLooping({ address, message }: LocalDelivery): boolean {
  return new HeaderLineFinder(formatDeliveredTo(address)).receive(message) === 'found';
}
