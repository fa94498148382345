// maildir2mbox: moves mail from a Maildir to an mbox file. See maildir2mbox(1).

import { runMaildir2mbox } from '../client/maildir2mbox.ts';
import { runProgram } from '../client/run-program.ts';
import { readWords } from '../host/program-words.ts';

runProgram('maildir2mbox', () => runMaildir2mbox(readWords()));
