/**
 * The value below which a share of all others lie, one of them: the nearest rank upwards. The median is the quantile of 0.5.
 * Undefined where there are none.
 * @param share from 0 to 1
 */
export function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}
