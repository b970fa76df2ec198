/** A prediction is off where measured and predicted time part by more than this share. */
const OFF_SHARE = 0.25;

/** It holds again only below this one, so that a time near the border does not make it come and go. */
const HELD_SHARE = 0.2;

/** A link is off where measured and planned speed part by more than this share. */
const LINK_SHARE = 0.2;

/** Whether a link is `slower` or `faster` than planned; undefined where it is about as fast. */
export function linkVerdict(measuredBytesPerSec: number, plannedBytesPerSec: number): 'slower' | 'faster' | undefined {
  const ratio = measuredBytesPerSec / plannedBytesPerSec;
  if (ratio < 1 - LINK_SHARE) return 'slower';
  return ratio > 1 + LINK_SHARE ? 'faster' : undefined;
}

/**
 * Whether a prediction is off.
 * @param ratio measured by predicted time
 * @param wasOff what was said of it before
 */
export function isOff(ratio: number, wasOff: boolean): boolean {
  return Math.abs(ratio - 1) > (wasOff ? HELD_SHARE : OFF_SHARE);
}
