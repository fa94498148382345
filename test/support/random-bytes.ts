// Inputs by chance for decoders: valid input that is damaged a little, and the ways in which a network can cut it.

import { bytesOf } from '../../src/core/bytes/bytes.ts';
import type { Chance } from './fuzz.ts';

/** Text that is damaged in up to so many places: bytes changed, left out, put in, doubled, moved, or the end lost. */
export function damage(chance: Chance, text: string, placesMax: number, alphabet: readonly string[]): string {
  let damaged = text;
  for (let places = chance.below(placesMax + 1); places > 0; places--) {
    const at = chance.below(damaged.length + 1);
    const to = at + chance.below(4);
    const [before, piece, after] = [damaged.slice(0, at), damaged.slice(at, to), damaged.slice(to)];
    damaged = chance.of([
      () => before + chance.of(alphabet) + damaged.slice(at + 1),
      () => before + chance.of(alphabet) + damaged.slice(at),
      () => before + after,
      () => before + piece + piece + after,
      () => after + piece + before,
      () => before,
      () => before + String.fromCharCode(chance.below(256)) + damaged.slice(at),
    ])();
  }
  return damaged;
}

/** The bytes of a text in pieces: whole, one by one, and cut by chance; each piece is a copy that its reader may overwrite. */
export function cutsOf(chance: Chance, text: string): Uint8Array[][] {
  const whole = bytesOf(text);
  const cuts = Array.from({ length: 1 + chance.below(6) }, () => chance.below(whole.length + 1));
  const ends = [...cuts.sort((a, b) => a - b), whole.length];
  const random = ends.map((end, i) => whole.slice(i === 0 ? 0 : ends[i - 1], end));
  return [[whole.slice()], Array.from(whole, (byte) => Uint8Array.of(byte)), random];
}
