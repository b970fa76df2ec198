/**
 * Longest wait of a timer, in milliseconds: about 24.8 days. A longer one would end at once. Source: Node's documentation of
 * `setTimeout`, whose delay is a signed 32-bit number and becomes 1 where it is larger.
 */
export const MAX_TIMER_MS: number = 2 ** 31 - 1;

/** The same in whole seconds. */
export const MAX_TIMER_SECONDS: number = Math.floor(MAX_TIMER_MS / 1000);
