/** A prediction is off where measured and predicted time part by more than this share. */
const OFF_SHARE = 0.25;

/** It holds again only below this one, so that a time near the border does not make it come and go. */
const HELD_SHARE = 0.2;

/** A link is off where measured and planned speed part by more than this share. */
const LINK_SHARE = 0.2;

/** One that was off is as planned again only below this one: each attempt measures it anew, and never quite the same. */
const LINK_HELD_SHARE = 0.15;

/**
 * Whether a link is `slower` or `faster` than planned; undefined where it is about as fast.
 * @param wasOff what was said of it before
 */
export function linkVerdict(
  measuredBytesPerSec: number,
  plannedBytesPerSec: number,
  wasOff: boolean = false,
): 'slower' | 'faster' | undefined {
  const ratio = measuredBytesPerSec / plannedBytesPerSec;
  const share = wasOff ? LINK_HELD_SHARE : LINK_SHARE;
  if (ratio < 1 - share) return 'slower';
  return ratio > 1 + share ? 'faster' : undefined;
}

/**
 * Whether a prediction is off.
 * @param ratio measured by predicted time
 * @param wasOff what was said of it before
 */
export function isOff(ratio: number, wasOff: boolean): boolean {
  return Math.abs(ratio - 1) > (wasOff ? HELD_SHARE : OFF_SHARE);
}
