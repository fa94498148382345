// Feeds a decoder the same bytes in every way a network can cut them. A decoder that depends on where its input was cut
// loses or changes mail once in a while, and no other test finds it.

import assert from 'node:assert/strict';

/**
 * Runs a decoder on the input whole, byte by byte, and cut in two at every place (inputs over `cutsMax` bytes: at that
 * many places spread over the input), and asserts that it says the same each time. Pieces are copies, and the runner may
 * overwrite them once they are consumed. Returns what it said.
 */
export function feedEveryWay<T>(
  input: Uint8Array,
  run: (pieces: Uint8Array[]) => T,
  options: { cutsMax?: number } = {},
): T {
  const whole = run([copy(input)]);
  assert.deepEqual(run(Array.from(input, (byte) => Uint8Array.of(byte))), whole, 'fed byte by byte');
  const cuts = Math.min(input.length, options.cutsMax ?? 2000);
  for (let i = 1; i < cuts; i++) {
    const at = Math.floor((i * input.length) / cuts);
    const pieces = [copy(input.subarray(0, at)), copy(input.subarray(at))];
    assert.deepEqual(run(pieces), whole, `cut in two at ${at}`);
  }
  return whole;
}

function copy(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes);
}
