// Where a server of a server list is: HOST, HOST:PORT, [IPv6], [IPv6]:PORT or the path of a socket file. Text in, text out:
// what is accepted is ASCII. Source: RFC 3986 section 3.2.2 for the brackets, RFC 1123 section 2.1 for names.

/** A place to connect to. */
export interface ServerPlace {
  /** An address in text form, without brackets, or the name of a host; empty with {@link path}. */
  readonly host: string;
  /** 0 with {@link path}. */
  readonly port: number;
  /** Absolute path of a socket file. */
  readonly path?: string;
}

/** The port of the Quick Mail Queueing Protocol. */
export const QMQP_PORT = 628;

const PORT_MAX = 65535;
const OCTET_MAX = 255;
/** Linux keeps 108 bytes, other systems 104, with a NUL at the end. */
const PATH_LENGTH_MAX = 103;
const NAME_LENGTH_MAX = 253;
const LABEL_LENGTH_MAX = 63;
const DIGITS = '0123456789';
const NAME_CHARACTERS = `${DIGITS}abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_`;

/** Reads HOST, HOST:PORT, [IPv6] or [IPv6]:PORT; undefined if it is none of them. */
export function parsePlace(text: string): ServerPlace | undefined {
  if (text.charAt(0) === '[') {
    const close = text.indexOf(']');
    const host = text.slice(1, close);
    return close > 0 && isIpv6(host) ? withPort(host, text.slice(close + 1)) : undefined;
  }
  const colon = text.indexOf(':');
  const host = colon < 0 ? text : text.slice(0, colon);
  const address = plainIpv4(host);
  if (address === undefined && !isHostName(host)) return undefined;
  return withPort(address ?? host, text.slice(host.length));
}

/** Reads the path of a socket file; undefined if it is not absolute, has a NUL or blank, or is too long for the system. */
export function parseSocketPath(path: string): ServerPlace | undefined {
  if (path.charAt(0) !== '/' || path.length < 2 || path.length > PATH_LENGTH_MAX) return undefined;
  return isOf(path, (code) => code > 32 && code < 127) ? { host: '', port: 0, path } : undefined;
}

/** Whether the host of a place is a name, which must be looked up, and no address. */
export function isName({ host }: ServerPlace): boolean {
  return host !== '' && host.indexOf(':') < 0 && plainIpv4(host) === undefined;
}

/** The place as a server list names it, without options: `qmqp://HOST:PORT` or `unix:PATH`. */
export function formatPlace({ host, port, path }: ServerPlace): string {
  if (path !== undefined) return `unix:${path}`;
  return `qmqp://${host.indexOf(':') < 0 ? host : `[${host}]`}:${port}`;
}

/** @param suffix what follows the host: nothing, or a colon and a port */
function withPort(host: string, suffix: string): ServerPlace | undefined {
  if (suffix === '') return { host, port: QMQP_PORT };
  const digits = suffix.slice(1);
  if (suffix.charAt(0) !== ':' || !isNumber(digits)) return undefined;
  const port = Number(digits);
  return port >= 1 && port <= PORT_MAX ? { host, port } : undefined;
}

/** An IPv4 address without leading zeros, or undefined. */
function plainIpv4(text: string): string | undefined {
  const octets = text.split('.');
  if (octets.length !== 4) return undefined;
  let plain = '';
  for (const octet of octets) {
    if (!isNumber(octet) || Number(octet) > OCTET_MAX) return undefined;
    plain += `${plain === '' ? '' : '.'}${Number(octet)}`;
  }
  return plain;
}

/** Whether the text can be the name of a host; what ends in a number is a broken address, not a name. */
function isHostName(text: string): boolean {
  const length = text.length;
  const name = text.charAt(length - 1) === '.' ? text.slice(0, length - 1) : text;
  if (name.length > NAME_LENGTH_MAX) return false;
  const labels = name.split('.');
  for (const label of labels) {
    if (label.length < 1 || label.length > LABEL_LENGTH_MAX || label.charAt(0) === '-') return false;
    for (let i = 0; i < label.length; i++) if (NAME_CHARACTERS.indexOf(label.charAt(i)) < 0) return false;
  }
  return !isNumber(labels[labels.length - 1]!);
}

/** Whether the text is an IPv6 address of hexadecimal groups, at most one `::` among them. */
function isIpv6(text: string): boolean {
  const halves = text.split('::');
  if (halves.length > 2) return false;
  let groupCount = 0;
  for (const half of halves) {
    if (half === '' && halves.length === 2) continue;
    for (const group of half.split(':')) {
      if (!isHexGroup(group)) return false;
      groupCount++;
    }
  }
  return halves.length === 2 ? groupCount < 8 : groupCount === 8;
}

function isHexGroup(group: string): boolean {
  if (group.length < 1 || group.length > 4) return false;
  for (let i = 0; i < group.length; i++) {
    if (`${DIGITS}abcdefABCDEF`.indexOf(group.charAt(i)) < 0) return false;
  }
  return true;
}

function isNumber(text: string): boolean {
  return text.length > 0 && isOf(text, (code) => code >= 48 && code <= 57);
}

function isOf(text: string, is: (code: number) => boolean): boolean {
  for (let i = 0; i < text.length; i++) if (!is(text.charCodeAt(i))) return false;
  return true;
}
