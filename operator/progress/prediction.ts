/** A prediction is off where measured and predicted time part by more than this share. */
const OFF_SHARE = 0.25;

/** It holds again only below this one, so that a time near the border does not make it come and go. */
const HELD_SHARE = 0.2;

/**
 * Whether a prediction is off.
 * @param ratio measured by predicted time
 * @param wasOff what was said of it before
 */
export function isOff(ratio: number, wasOff: boolean): boolean {
  return Math.abs(ratio - 1) > (wasOff ? HELD_SHARE : OFF_SHARE);
}
