// Reads what an injection depends on besides its message: list file, control files and their override variables, in the
// order that decides which of several problems is reported. Source: the qmail-inject and qmail-control manual pages.

import { bytesOf } from '../core/bytes/bytes.ts';
import { parseControlList } from '../core/format/control-file.ts';
import { type InjectFailure, parseDefault } from '../core/message/inject-settings.ts';
import type { RewriteDefaults } from '../core/message/rewrite-address.ts';
import type { TokenList } from '../core/message/tokens.ts';
import { readControlLine, readFileIfPresent } from '../host/control.ts';
import type { Environment } from '../host/raw-arguments.ts';

/** What the control files say. */
export interface InjectControls {
  readonly defaults: RewriteDefaults;
  readonly idHost: Uint8Array;
}

/** Where one of these values comes from, for explaining. */
export interface ControlOrigin {
  /** The control file that sets it. */
  readonly name: string;
  readonly value: Uint8Array;
  /** Name of a control file or, in capitals, of a variable; or `built in`. */
  readonly origin: string;
}

/**
 * The entries of the file that QMAILMFTFILE names, relative to the working folder; undefined if there is none.
 * @throws SystemError if the file exists and cannot be read
 */
export function readFollowupLists(env: Environment): Uint8Array[] | undefined {
  const path = env.get('QMAILMFTFILE');
  if (path === undefined || path.length === 0) return undefined;
  const content = readFileIfPresent(Buffer.from(path));
  return content && parseControlList(content);
}

/**
 * Reads me, defaultdomain, defaulthost, plusdomain and idhost.
 * @throws SystemError if one of them exists and cannot be read
 */
export function readInjectControls(
  home: string,
  env: Environment,
  onOrigin?: (origin: ControlOrigin) => void,
): InjectControls | InjectFailure {
  const me = readControlLine(home, 'me');
  const value = (name: string, override: string): Uint8Array => {
    // An unreadable file is an error even where its value is not needed.
    const own = readControlLine(home, name);
    const chosen = env.get(override);
    const fallback = own === undefined ? (me === undefined ? 'built in' : 'me') : name;
    const origin = chosen === undefined ? fallback : override;
    const result = chosen ?? own ?? me ?? bytesOf(name);
    onOrigin?.({ name, value: result, origin });
    return result;
  };
  const domain = parseDefault('.', value('defaultdomain', 'QMAILDEFAULTDOMAIN'));
  if (isFailure(domain)) return domain;
  const host = parseDefault('@', value('defaulthost', 'QMAILDEFAULTHOST'));
  if (isFailure(host)) return host;
  const plus = parseDefault('.', value('plusdomain', 'QMAILPLUSDOMAIN'));
  if (isFailure(plus)) return plus;
  return { defaults: { domain, host, plus }, idHost: value('idhost', 'QMAILIDHOST') };
}

function isFailure(value: TokenList | InjectFailure): value is InjectFailure {
  return 'exit' in value;
}
