/** A command line that cannot be understood: a sentence with what, got and expected. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
