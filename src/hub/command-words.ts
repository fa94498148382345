// What all commands of mini-qmail do with the words of their command lines, beyond what the package does.

/** The option that names an installation. */
export const homeArg = {
  type: 'string',
  description: 'folder of the installation',
  valueHint: 'DIR',
} as const;

/** The caller's mistake in the command line. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/**
 * Refuses what the package lets pass: options that do not exist, options without their value, words too many.
 * @throws UsageError
 */
export function checkWords({ _: words, ...options }: { _: string[] }, known: readonly string[]): void {
  for (const [name, value] of Object.entries(options)) {
    // The package gives an option of two words under a second name, without its hyphen.
    if (!known.some((one) => one === name || one.replace(/-(.)/g, (_, c) => c.toUpperCase()) === name))
      throw new UsageError(`Unknown option --${name}`);
    if (value === '') throw new UsageError(`Missing value for --${name}`);
  }
  if (words.length > 0) throw new UsageError(`Unexpected word ${words[0]}`);
}

/** All values of an option that may be repeated, of which the package gives the last. */
export function valuesOf(words: readonly string[], option: string): string[] {
  return words.flatMap((word, i) => {
    if (word === option) return words.slice(i + 1, i + 2);
    return word.startsWith(`${option}=`) ? [word.slice(option.length + 1)] : [];
  });
}
