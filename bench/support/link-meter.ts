// The two directions of a line, and what went over them since somebody asked.

import { type Line, type LinkSpeed, SerialLink } from './link-model.ts';

/** What went over in one direction: IP packets, and their bytes. */
export interface Traffic {
  readonly bytes: number;
  readonly packets: number;
}

/** Both directions. */
export interface LineTraffic {
  /** From clients to servers. */
  readonly up: Traffic;
  readonly down: Traffic;
}

const NOTHING: Traffic = { bytes: 0, packets: 0 };

/** See the head of this file. */
export class LineMeter implements Line {
  readonly up: SerialLink;
  readonly down: SerialLink;
  #taken: LineTraffic = { up: NOTHING, down: NOTHING };
  #hasStarted = false;
  #onStart: () => void = () => undefined;

  constructor(speed: LinkSpeed) {
    this.up = new SerialLink(speed);
    this.down = new SerialLink(speed);
  }

  /** Tells that a client sends something. */
  note(): void {
    this.#hasStarted = true;
    this.#onStart();
  }

  /** Resolves once a client has sent something since {@link take}. One at a time. */
  started(): Promise<void> {
    return new Promise((resolve) => {
      this.#onStart = resolve;
      if (this.#hasStarted) resolve();
    });
  }

  take(): LineTraffic {
    const before = this.#taken;
    this.#taken = { up: snapshot(this.up), down: snapshot(this.down) };
    this.#hasStarted = false;
    return { up: minus(this.#taken.up, before.up), down: minus(this.#taken.down, before.down) };
  }
}

function snapshot({ bytes, packets }: SerialLink): Traffic {
  return { bytes, packets };
}

function minus(whole: Traffic, part: Traffic): Traffic {
  return { bytes: whole.bytes - part.bytes, packets: whole.packets - part.packets };
}
