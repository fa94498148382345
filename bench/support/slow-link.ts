// A slow line between clients and servers on this machine. With root on Linux it carries real packets: the servers are in a network
// namespace of their own, and between the two ends, which are VXLAN devices, this process keeps each packet for as long as the line
// would. Without root it is a proxy that models TCP; link-model.ts says how.

import type { LineTraffic } from './link-meter.ts';
import type { LinkSpeed } from './link-model.ts';
import { openNamespaceLink } from './link-namespace.ts';
import { openProxyLink } from './link-proxy.ts';

/** A line. Servers listen on `host`, and are started by a command that begins with `command`. */
export interface SlowLink {
  readonly kind: string;
  readonly host: string;
  readonly command: readonly string[];
  /** Where clients find a server that listens on that port of the host. */
  reach(port: number): Promise<{ readonly host: string; readonly port: number }>;
  /** What went over since the last call. */
  take(): Promise<LineTraffic>;
  /** Resolves when a client has sent something since {@link take}. */
  started(): Promise<void>;
  close(): Promise<void>;
}

/** Opens one of the kind that is possible here, or the proxy; `kind` tells which, and why not the better one. */
export async function openSlowLink(speed: LinkSpeed, isProxy: boolean): Promise<SlowLink> {
  if (isProxy) return openProxyLink(speed, 'it was asked for');
  try {
    return await openNamespaceLink(speed);
  } catch (error) {
    return openProxyLink(speed, String(error));
  }
}
