// Fetches the policy file of a domain by HTTPS, as RFC 8461 section 3.3 wants it: a valid certificate, status 200 and no
// redirects, text/plain, at most 64 KiB.
// Invariants: ends after the time limit, whatever the host does; names are looked up by the resolver given, since the
// system's would keep one of the few threads that also write the queue.

import type { LookupFunction } from 'node:net';
import type { MailResolver } from './mail-exchanger.ts';
import { readSystemAuthorities } from './tls-check.ts';

/** What a fetch depends on. */
export interface StsFetchSettings {
  readonly resolver: Pick<MailResolver, 'resolve4' | 'resolve6'>;
  /** For the whole fetch, ms. */
  readonly timeoutMs: number;
  /** 443 unless a test says otherwise. */
  readonly port?: number;
  /** Certificates of authorities (PEM), in place of the system's. */
  readonly authorities?: readonly string[];
}

const BODY_BYTES_MAX = 65_536;
const FETCHES_MAX = 50;

/** Makes the fetcher; at most 50 fetches run at a time, the others wait. */
export function createStsFetcher(settings: StsFetchSettings): (domain: string) => Promise<Uint8Array> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (domain) => {
    if (running >= FETCHES_MAX) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await fetchPolicy(domain, settings);
    } finally {
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}

async function fetchPolicy(domain: string, settings: StsFetchSettings): Promise<Uint8Array> {
  const { timeoutMs, port = 443, authorities = readSystemAuthorities() } = settings;
  const { get } = await import('node:https');
  const host = `mta-sts.${domain}`;
  return new Promise((resolve, reject) => {
    const request = get(
      {
        ...{ host, servername: host, port, path: '/.well-known/mta-sts.txt', agent: false },
        ...{ ca: [...authorities], minVersion: 'TLSv1.2', maxHeaderSize: 16_384 },
        headers: { Host: host, Accept: 'text/plain' },
        lookup: lookUpBy(settings.resolver),
      },
      (response) => {
        const { statusCode, headers } = response;
        const type = (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase();
        if (statusCode !== 200)
          return end(new Error(`Cannot fetch the policy of ${domain}: HTTP status ${statusCode}`));
        if (type !== 'text/plain')
          return end(new Error(`Cannot fetch the policy of ${domain}: it is of type ${type}`));
        const pieces: Buffer[] = [];
        let length = 0;
        response.on('error', end);
        response.on('data', (piece: Buffer) => {
          pieces.push(piece);
          length += piece.length;
          if (length > BODY_BYTES_MAX)
            end(new Error(`Cannot fetch the policy of ${domain}: it is larger than 64 KiB`));
        });
        response.on('close', () =>
          end(new Error(`Cannot fetch the policy of ${domain}: the connection was lost`)),
        );
        return response.on('end', () => {
          if (response.complete) resolve(Buffer.concat(pieces));
        });
      },
    );
    const timer = setTimeout(
      () => end(new Error(`Cannot fetch the policy of ${domain}: no answer in ${timeoutMs} ms`)),
      timeoutMs,
    );
    const end = (error: Error) => {
      reject(error);
      request.destroy();
    };
    request.on('error', end);
    request.on('close', () => clearTimeout(timer));
  });
}

/** Looks a name up as node's sockets want it, without the system's resolver. */
function lookUpBy(resolver: Pick<MailResolver, 'resolve4' | 'resolve6'>): LookupFunction {
  return (name, options, done) => {
    void Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]).then(([four, six]) => {
      const found = [
        ...(four.status === 'fulfilled' ? four.value : []).map((address) => ({ address, family: 4 })),
        ...(six.status === 'fulfilled' ? six.value : []).map((address) => ({ address, family: 6 })),
      ];
      const [first] = found;
      if (first === undefined) {
        done(Object.assign(new Error(`Cannot find an address of ${name}`), { code: 'ENOTFOUND' }), '');
      } else if (options.all === true) done(null, found);
      else done(null, first.address, first.family);
    });
  };
}
