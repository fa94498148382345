// Types of launcher.mjs, for the installer.

/** Content of the file that runs a bundle: `#!INTERPRETER BUNDLE`, or a shell script where that line cannot be. */
export function launcher(interpreter: string, bundle: string): string;
