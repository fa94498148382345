// Flushes of folders, shared: a flush that begins after an entry was made covers it, whoever asked for the flush. So
// many deliveries to one mailbox cost as many folder flushes as fit one after another, not one each; none is skipped.

/** Shares flushes of the same folder among callers that wait at the same time. */
export class FolderFlusher {
  readonly #flush: (folder: string) => Promise<void>;
  readonly #running = new Map<string, Promise<void>>();
  readonly #waiting = new Map<string, Promise<void>>();

  constructor(flush: (folder: string) => Promise<void>) {
    this.#flush = flush;
  }

  /** Resolves when a flush that began after this call is done. */
  flush(folder: string): Promise<void> {
    const waiting = this.#waiting.get(folder);
    if (waiting !== undefined) return waiting;
    const running = this.#running.get(folder);
    if (running === undefined) return this.#start(folder);
    const next = running
      .catch(() => undefined)
      .then(() => {
        this.#waiting.delete(folder);
        return this.#start(folder);
      });
    this.#waiting.set(folder, next);
    return next;
  }

  #start(folder: string): Promise<void> {
    const flush = this.#flush(folder).finally(() => {
      if (this.#running.get(folder) === flush) this.#running.delete(folder);
    });
    this.#running.set(folder, flush);
    return flush;
  }
}
