/** Numbers as people read them, three digits. */

export function time(us: number): string {
  const [value, unit] = us < 1000 ? [us, 'µs'] : us < 1e6 ? [us / 1000, 'ms'] : [us / 1e6, 's'];
  return `${value === 0 ? 0 : digits(value)} ${unit}`;
}

/** A moment on an axis whose marks are so far apart: with as many digits as tell neighbours apart. */
export function moment(us: number, stepUs: number, lastUs: number): string {
  const [scale, unit] = lastUs < 1000 ? [1, 'µs'] : lastUs < 1e6 ? [1000, 'ms'] : [1e6, 's'];
  const decimals = Math.max(0, -Math.floor(Math.log10(stepUs / scale) + 1e-9));
  return `${(us / scale).toFixed(decimals)} ${unit}`;
}

export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let [value, unit] = [count, 0];
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 ? Math.round(value) : digits(value)} ${units[unit]}`;
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}

/**
 * A name that fits, cut in the middle where it must be: names of links and devices differ at both ends.
 * @param room pixels that there are
 * @param widthOf pixels that a text takes
 */
export function fitted(name: string, room: number, widthOf: (text: string) => number): string {
  if (widthOf(name) <= room) return name;
  let [fits, tooLong] = [0, name.length];
  const cut = (kept: number): string =>
    `${name.slice(0, Math.ceil(kept / 2))}…${name.slice(name.length - Math.floor(kept / 2))}`;
  while (tooLong - fits > 1) {
    const kept = Math.floor((fits + tooLong) / 2);
    if (widthOf(cut(kept)) <= room) fits = kept;
    else tooLong = kept;
  }
  return cut(fits);
}

function digits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
