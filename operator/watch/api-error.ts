/** An answer of the API server other than success. */
export class ApiStatusError extends Error {
  readonly status: number;
  /** What its Retry-After header asks for. */
  readonly retryAfterMs: number | undefined;

  constructor(what: string, status: number, retryAfter: string | undefined) {
    super(`${what}: the API server answered ${status}`);
    this.name = 'ApiStatusError';
    this.status = status;
    const seconds = Number(retryAfter ?? Number.NaN);
    this.retryAfterMs = Number.isFinite(seconds) && seconds >= 0 ? 1000 * seconds : undefined;
  }
}
