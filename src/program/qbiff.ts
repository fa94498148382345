// qbiff: tells a user who is logged in of new mail. See qbiff(1).

import { runQbiff } from '../client/qbiff.ts';
import { readWords } from '../host/program-words.ts';

runQbiff(readWords());
process.exit(0);
