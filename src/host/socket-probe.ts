// Tells a socket file that is in use from one that a process left behind.

import { connect } from 'node:net';

/** Whether somebody listens on a socket file and lets us in. */
export function answersOn(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
}
