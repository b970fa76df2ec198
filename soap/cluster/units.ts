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
