/** A file that a job names is not in its storage, or not all of it: it may be put there yet, where one that is wrong stays wrong. */
export class MissingFileError extends Error {
  override readonly name = 'MissingFileError';
}

/** The error of a file that could not be read, which {@link isMissingFile} tells where it, or a folder on its path, is not there. */
export function readFailure(message: string, cause: unknown): Error {
  const isAbsent = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
  return isAbsent ? new MissingFileError(message, { cause }) : new Error(message, { cause });
}

/** Nobody is writing a file that was not changed for so long; two minutes, which also cover clocks of file servers that are off. */
const SETTLED_MS = 120_000;

/**
 * The error of a file that is there, and not of the form that it should have. One that was changed just now may be on its way still, and
 * counts as not there.
 * @param changedMs when it was changed last, since the epoch
 */
export function formFailure(error: unknown, changedMs: number): unknown {
  const ageMs = Math.abs(Date.now() - changedMs);
  if (isMissingFile(error) || !(error instanceof Error) || ageMs >= SETTLED_MS) return error;
  const message = `${error.message}; it was changed ${Math.round(ageMs / 1000)} s ago: if it is still being copied, wait for that`;
  return new MissingFileError(message, { cause: error });
}

/** Whether an error is, or comes from, a file that is not there, or not whole yet. */
export function isMissingFile(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  return error instanceof MissingFileError || isMissingFile(error.cause);
}
