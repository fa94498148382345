// maildirmake: makes a Maildir. See maildirmake(1).

import { runMaildirmake } from '../client/maildirmake.ts';
import { runProgram } from '../client/run-program.ts';
import { readWords } from '../host/program-words.ts';

runProgram('maildirmake', () => runMaildirmake(readWords()));
