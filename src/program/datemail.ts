// datemail: sendmail with a Date field in local time. See datemail(1).

import { withName } from '../client/feed-child.ts';
import { runPredate } from '../client/predate.ts';
import { runProgram } from '../client/run-program.ts';
import { programOfHome } from '../host/home-program.ts';
import { readCall } from '../host/program-call.ts';

runProgram('datemail', () => {
  const { args, env, home, ownBin } = readCall();
  return runPredate({ args: withName(programOfHome(home, ownBin, 'sendmail'), args), env });
});
