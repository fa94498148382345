// The file on a user's PATH that runs a bundle, as the build makes it for a checkout and `mini-qmail install` for a prefix.

// Linux reads at most 255 bytes of an interpreter line; older kernels and other systems 127.
const INTERPRETER_LINE_MAX = 127;

/** A launcher: runs INTERPRETER BUNDLE PATH-AS-CALLED ARGUMENTS… Through a shell where the line is too long or has blanks. */
export function launcher(interpreter, bundle) {
  const line = `#!${interpreter} ${bundle}`;
  if (line.length <= INTERPRETER_LINE_MAX && !/\s/.test(interpreter + bundle)) return `${line}\n`;
  return `#!/bin/sh\nexec ${shellQuote(interpreter)} ${shellQuote(bundle)} "$0" "$@"\n`;
}

function shellQuote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
