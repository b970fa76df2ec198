/** A file that a job names is not in its storage: it may be put there yet, where one that is there but wrong stays wrong. */
export class MissingFileError extends Error {
  override readonly name = 'MissingFileError';
}

/** The error of a file that could not be read, which {@link isMissingFile} tells where it, or a folder on its path, is not there. */
export function readFailure(message: string, cause: unknown): Error {
  const isAbsent = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
  return isAbsent ? new MissingFileError(message, { cause }) : new Error(message, { cause });
}

/** Whether an error is, or comes from, a file that is not there. */
export function isMissingFile(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  return error instanceof MissingFileError || isMissingFile(error.cause);
}
