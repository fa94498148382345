// The control files that programs of qmail and mini-qmail read, and their formats. Source: qmail-control(5), which a test
// compares with this table.

/** How a control file is read, see qmail-control(5). */
export type ControlFormat = 'line' | 'number' | 'list' | 'text' | 'cdb' | 'PEM' | 'folder';

const NAMES: { readonly [format in ControlFormat]: string } = {
  line: 'bounceformat bouncefrom bouncehost dane defaultdomain defaulthost doublebouncehost doublebounceto envnoathost helohost idhost localdelivery localiphost locallmtp me plusdomain qmqptls rcptcheckfail smtpgreeting spilldir',
  number:
    'bouncedbytes bouncedlifetime bouncemaxbytes bouncerate bouncerateall concurrencylocal concurrencyqmqp concurrencyremote databytes delaywarning eventbytes eventlifetime mtasts queuediskfree queueintakebytes queuelifetime resubmissioncount resubmissionwindow spillbytes spillcount timeoutconnect timeoutlocal timeoutremote timeoutsmtpd',
  list: 'badmailfrom destinations locals morercpthosts percenthack qmqpclients qmqpservers rcptcheck rcpthosts recipients smtpauth smtpextensions smtproutes tlsclients tlspolicy virtualdomains',
  text: 'defaultdelivery',
  cdb: 'morercpthosts.cdb',
  PEM: 'servercert.pem',
  folder: 'dkim tls',
};

/** Format of each known control file by its name. */
export const KNOWN_CONTROLS: ReadonlyMap<string, ControlFormat> = new Map(
  (Object.keys(NAMES) as ControlFormat[]).flatMap((format) =>
    NAMES[format].split(' ').map((name): [string, ControlFormat] => [name, format]),
  ),
);

/** Files that hold secrets: not for everybody's eyes. */
export const SECRET_CONTROLS: readonly string[] = ['servercert.pem', 'smtpauth'];

/** The known name that a misspelt one is nearest to, if they differ by two letters at most. */
export function likelyMeant(name: string): string | undefined {
  let best: { readonly known: string; readonly distance: number } | undefined;
  for (const known of KNOWN_CONTROLS.keys()) {
    // Two of three letters would make any name the same.
    const most = Math.min(2, Math.floor(known.length / 2) - 1);
    const distance = editDistance(name.toLowerCase(), known);
    if (distance <= Math.max(most, 0) && distance < (best?.distance ?? 3)) best = { known, distance };
  }
  return best?.known;
}

/** How many letters must be put in, left out, changed, or exchanged with their neighbour. */
export function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 3) return 3;
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, i) => i)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, change);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) least = Math.min(least, rows[i - 2]![j - 2]! + 1);
      row.push(least);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
