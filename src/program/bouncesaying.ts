// bouncesaying: bounces a message with a text. See bouncesaying(1).

import { runBouncesaying } from '../client/bouncesaying.ts';
import { runProgram } from '../client/run-program.ts';
import { readWords } from '../host/program-words.ts';

runProgram('bouncesaying', () => runBouncesaying(readWords()));
