// qmail-remote: sends the message on descriptor 0 by SMTP and reports on descriptor 1; see its manual page.

import { bytesOf } from '../core/bytes/bytes.ts';
import { runQmailRemote } from '../delivery/qmail-remote.ts';
import { writeBlocking } from '../host/blocking-io.ts';
import { SYSTEM_CLOCK } from '../host/clock.ts';
import { readInvocation } from '../host/invocation.ts';
import { readWords } from '../host/program-words.ts';
import { readStandardInput } from '../host/standard-input.ts';

const PIECE_BYTES = 65_536;

const { home } = readInvocation();
void runQmailRemote({
  ...readWords(),
  home,
  clock: SYSTEM_CLOCK,
  readMessage() {
    const piece = new Uint8Array(PIECE_BYTES);
    return piece.subarray(0, readStandardInput(piece));
  },
}).then((reports) => {
  try {
    writeBlocking(1, bytesOf(reports));
  } catch {
    // Nobody listens; the exit code never tells.
  }
  process.exit(0);
});
