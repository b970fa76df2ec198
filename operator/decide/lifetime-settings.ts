/** What a spec says of how long its job may live, in seconds where it is a time. */
export interface LifetimeSettings {
  readonly suspend: boolean;
  readonly activeDeadlineSeconds: number | undefined;
  readonly ttlSecondsAfterFinished: number | undefined;
}

/**
 * Reads them from a spec, whatever else is wrong with it: time goes on for a job whose spec is refused, as for any other. What is no
 * value of its field counts as left out.
 */
export function lifetimeSettings(spec: unknown): LifetimeSettings {
  const fields: Readonly<Record<string, unknown>> = { ...Object(spec) };
  return {
    suspend: fields['suspend'] === true,
    activeDeadlineSeconds: wholeNumber(fields['activeDeadlineSeconds'], 1),
    ttlSecondsAfterFinished: wholeNumber(fields['ttlSecondsAfterFinished'], 0),
  };
}

function wholeNumber(value: unknown, least: number): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= least ? value : undefined;
}
