/** Quantities as people read them, in text and on pages alike. Browsers load this file too, so it imports nothing. */

const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'] as const;

/** Three digits in decimal units, as disks and networks count; what rounds to 1000 is one of the next unit. */
export function bytesInWords(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 999.5 && unit < BYTE_UNITS.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 ? value : value.toPrecision(3)} ${BYTE_UNITS[unit]}`;
}

/** Microseconds with three digits, in the unit in which they are from 1 to 999, a second at most. */
export function timeInWords(us: number): string {
  if (us < 999.5) return `${us < 1 ? Number(us.toFixed(2)) : us.toPrecision(3)} us`;
  if (us < 999_500) return `${(us / 1000).toPrecision(3)} ms`;
  return us < 999.5e6 ? `${(us / 1e6).toPrecision(3)} s` : `${(us / 1e6).toFixed(0)} s`;
}

/** Of a share, with a decimal. */
export function percentInWords(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}
