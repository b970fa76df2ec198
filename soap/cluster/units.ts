/** Every conversion of units in the project, once. */

const BITS_PER_BYTE = 8;

/** Network speeds: gigabits per second, decimal, as NICs are sold. */
export function gigabitsPerSec(value: number): number {
  return (value * 1e9) / BITS_PER_BYTE;
}

/** Megabits per second, decimal, as sysfs and Karpenter give them. */
export function megabitsPerSec(value: number): number {
  return (value * 1e6) / BITS_PER_BYTE;
}

/** Bus and memory speeds: gigabytes per second, decimal, as data sheets give them. */
export function gigabytesPerSec(value: number): number {
  return value * 1e9;
}

/** GPU feature discovery gives memory in MiB. */
export function mebibytes(value: number): number {
  return value * 2 ** 20;
}

/** Data sheets give memory in GB that are GiB. */
export function gibibytes(value: number): number {
  return value * 2 ** 30;
}

/** Data sheets give arithmetic in TFLOP/s. */
export function teraflops(value: number): number {
  return value * 1e12;
}

const QUANTITY_FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** A Kubernetes quantity of bytes, such as `81559Mi` or `16G`; undefined where it is none, or not positive. */
export function quantityBytes(text: string): number | undefined {
  const [, digits, suffix = ''] = /^([0-9]+(?:\.[0-9]+)?)(k|M|G|T|Ki|Mi|Gi|Ti)?$/.exec(text) ?? [];
  const bytes = Number(digits) * (QUANTITY_FACTORS[suffix] ?? Number.NaN);
  return bytes > 0 && Number.isFinite(bytes) ? bytes : undefined;
}

/** A label's number, which must be positive and finite; undefined otherwise. */
export function positiveNumber(text: string | undefined): number | undefined {
  const value = text === undefined || text.trim() === '' ? Number.NaN : Number(text);
  return Number.isFinite(value) && value > 0 ? value : undefined;
}

/**
 * Gigabits with the unit's letter, as CoreWeave's `ib.coreweave.cloud/speed` gives them: `3200G` is 400e9 bytes per second.
 * `0G`, a link that is down, is undefined.
 */
export function suffixedGigabitsPerSec(text: string): number | undefined {
  const gigabits = positiveNumber(/^([0-9]+(?:\.[0-9]+)?)G$/.exec(text)?.[1]);
  return gigabits === undefined ? undefined : gigabitsPerSec(gigabits);
}
