// The words that qmail's programs have for errors of the system. They are fixed, not those of the C library or of Node, so
// that a message reads the same on every host. Source: the texts that the original programs print.

import { errorCode, SystemError } from './system-error.ts';

const TEXTS: { readonly [code: string]: string } = {
  E2BIG: 'argument list too long',
  EACCES: 'access denied',
  EADDRINUSE: 'address already used',
  EADDRNOTAVAIL: 'address not available',
  EAFNOSUPPORT: 'address family not supported',
  EAGAIN: 'temporary failure',
  EBADF: 'file descriptor not open',
  EBUSY: 'device busy',
  ECHILD: 'no child processes',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EDQUOT: 'disk quota exceeded',
  EEXIST: 'file already exists',
  EFBIG: 'file too big',
  EHOSTDOWN: 'host down',
  EHOSTUNREACH: 'host unreachable',
  EINTR: 'interrupted system call',
  EINVAL: 'invalid argument',
  EIO: 'input/output error',
  EISDIR: 'is a directory',
  ELOOP: 'symbolic link loop',
  EMFILE: 'process cannot open more files',
  EMLINK: 'too many links',
  ENAMETOOLONG: 'file name too long',
  ENETDOWN: 'network down',
  ENETUNREACH: 'network unreachable',
  ENFILE: 'system cannot open more files',
  ENODEV: 'device does not support operation',
  ENOENT: 'file does not exist',
  ENOEXEC: 'exec format error',
  ENOMEM: 'out of memory',
  ENOSPC: 'out of disk space',
  ENOTCONN: 'not connected',
  ENOTDIR: 'not a directory',
  ENOTEMPTY: 'directory not empty',
  ENOTSOCK: 'not a socket',
  ENXIO: 'device not configured',
  EPERM: 'permission denied',
  EPIPE: 'broken pipe',
  EPROTO: 'protocol error',
  EROFS: 'read-only file system',
  ESPIPE: 'unseekable descriptor',
  ESRCH: 'no such process',
  ESTALE: 'stale NFS file handle',
  ETIMEDOUT: 'timed out',
  ETXTBSY: 'text busy',
  EXDEV: 'cross-device link',
};

/** Errors that may be gone the next time; all others of a program that cannot be started are there to stay. */
const TEMPORARY = [
  'EINTR ENOMEM ETXTBSY EIO ETIMEDOUT EAGAIN EDEADLK EBUSY ENFILE EMFILE EFBIG ENOSPC ENOBUFS EDQUOT ESTALE ENOLCK',
  'ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ETOOMANYREFS ECONNREFUSED EHOSTDOWN EHOSTUNREACH',
]
  .join(' ')
  .split(' ');

/** What an error of the system is called; `unknown error` if it is not in the table. */
export function errorText(error: unknown): string {
  return TEXTS[systemCode(error) ?? ''] ?? 'unknown error';
}

/** Whether an error that kept a program from being started may be gone the next time. */
export function isTemporaryError(error: unknown): boolean {
  return TEMPORARY.includes(systemCode(error) ?? '');
}

function systemCode(error: unknown): string | undefined {
  return errorCode(error instanceof SystemError ? error.cause : error);
}
