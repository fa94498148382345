// A hub with an authority and hosts that it knows, each with a home of its own, made as an administrator makes them.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initAuthority, signRequest } from '../../src/setup/identity-authority.ts';
import { makeHostIdentity } from '../../src/setup/identity-host.ts';

/** Homes below one folder, which goes with `remove`. */
export interface Identities {
  /** The home of the hub, which is called hub.example and 127.0.0.1. */
  readonly hub: string;
  /** Makes a host with a certificate of so many days; @returns its home */
  addHost(name: string, days?: number): string;
  /** Makes a home that trusts the hub and has no certificate. */
  addStranger(): string;
  remove(): void;
}

/** Makes a hub. @param nowMs when, as for the dates in all certificates */
export function makeIdentities(nowMs: number): Identities {
  const folder = mkdtempSync(join(tmpdir(), 'identities-'));
  let count = 0;
  const makeHome = () => {
    const home = join(folder, String(count++));
    mkdirSync(join(home, 'control'), { recursive: true });
    return home;
  };
  const hub = makeHome();
  writeFileSync(join(hub, 'control/me'), 'hub.example\n');
  initAuthority({ home: hub, nowMs }, ['127.0.0.1']);
  const addStranger = () => {
    const home = makeHome();
    mkdirSync(join(home, 'control/tls'));
    writeFileSync(join(home, 'control/tls/ca.pem'), readFileSync(join(hub, 'control/tls/ca.pem')));
    return home;
  };
  return {
    hub,
    addStranger,
    addHost(name, days = 2) {
      const home = addStranger();
      const { request } = makeHostIdentity({ home, name, group: undefined });
      const pem = signRequest(
        { home: hub, nowMs },
        { request: readFileSync(request), name: undefined, days },
      );
      writeFileSync(join(home, 'control/tls/host.pem'), pem);
      return home;
    },
    remove: () => rmSync(folder, { recursive: true }),
  };
}
