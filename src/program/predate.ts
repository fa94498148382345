// predate: puts a Date field on top of a message for a program. See predate(1).

import { runPredate } from '../client/predate.ts';
import { refuseUsage } from '../client/refuse.ts';
import { runProgram } from '../client/run-program.ts';
import { readWords } from '../host/program-words.ts';

runProgram('predate', () => {
  const words = readWords();
  return words.args.length === 0 ? refuseUsage('predate', 'predate child') : runPredate(words);
});
