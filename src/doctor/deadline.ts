// Limits of time for whatever the doctor waits for: nothing that is dead may hold it up.

/** Resolves with what the promise gives, or with `late` after that many milliseconds. */
export async function within<T, Late>(promise: Promise<T>, limitMs: number, late: Late): Promise<T | Late> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<Late>((resolve) => {
    timer = setTimeout(() => resolve(late), limitMs);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}
