import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { findTcpPort } from './services.ts';

test('findTcpPort() finds a TCP service by any of its names', () => {
  const folder = mkdtempSync(join(tmpdir(), 'services-'));
  const path = join(folder, 'services');
  const text = '# smtp 1/tcp\ndomain 53/udp\nsmtp\t25/tcp  mail # also mx\nqmqp 628/tcp\n628 9/tcp';
  writeFileSync(path, text);
  const rows: [string, number | undefined][] = [
    ['smtp', 25],
    ['mail', 25],
    ['mx', undefined],
    ['also', undefined],
    ['domain', undefined],
    ['qmqp', 628],
    ['SMTP', undefined],
    ['', undefined],
  ];
  for (const [service, want] of rows) assert.equal(findTcpPort(service, path), want, service);
  assert.equal(findTcpPort('smtp', join(folder, 'none')), undefined);
  rmSync(folder, { recursive: true });
});
