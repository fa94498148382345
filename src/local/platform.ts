// What deliveries know of time and of this process, so that tests can have another.

/** The machine, and how patient to be. */
export interface LocalPlatform {
  /** Milliseconds since 1970. */
  nowMs(): number;
  /** Waits, doing nothing else. */
  pause(ms: number): void;
  readonly pid: number;
  /** Name of this host. */
  hostName(): string;
  /** How long to wait for the lock on an mbox file, ms. */
  readonly lockWaitMs: number;
}

/** The real one. */
export const SYSTEM_PLATFORM: LocalPlatform = {
  nowMs: () => Date.now(),
  pause: (ms) => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  },
  pid: process.pid,
  hostName: () => process.getBuiltinModule('node:os').hostname(),
  lockWaitMs: 30_000,
};
