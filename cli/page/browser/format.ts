/** Numbers as people read them, as the text of the command has them. */
export {
  bytesInWords as bytes,
  percentInWords as percent,
  timeInWords as time,
} from '../../../soap/explain/quantities.ts';

/** A moment on an axis whose marks are so far apart: with as many digits as tell neighbours apart. */
export function moment(us: number, stepUs: number, lastUs: number): string {
  const [scale, unit] = lastUs < 1000 ? [1, 'us'] : lastUs < 1e6 ? [1000, 'ms'] : [1e6, 's'];
  const decimals = Math.max(0, -Math.floor(Math.log10(stepUs / scale) + 1e-9));
  return `${(us / scale).toFixed(decimals)} ${unit}`;
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
