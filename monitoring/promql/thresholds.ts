/** What counts as wrong: alerts fire there, and panels change colour. */

/** A device this many times as slow as the median of its job is a straggler. Chosen: every iteration waits for it that long. */
export const STRAGGLER_RATIO = 1.25;

/**
 * By which share measured and predicted iteration time may part. Chosen: beyond the errors of predictions by measured costs, which were
 * 18.8 % at worst (docs/performance/predictions.md).
 */
export const PREDICTION_ERROR = 0.25;

/** By which share measured and planned speed of a link may part. Chosen: labels of links are round numbers of data sheets. */
export const LINK_ERROR = 0.2;

/** Throughput below this share of its own median of the last hours is a drop. */
export const THROUGHPUT_SHARE = 0.7;

/** Restarts of a job in an hour. Moves are half an hour apart by default, and one that crashes is restarted three times. */
export const RESTARTS_AN_HOUR = 5;

/** Jobs that wait for a visit of the controller at once. */
export const LONG_QUEUE = 100;

/** A visit under way for so long hangs; every request of one ends by itself within 15 s. */
export const HUNG_VISIT_SECONDS = 300;

/** Watches that could not be mended for so long, in seconds: a controller is not ready then. Source: `operator/health.ts`. */
export const STALE_SECONDS = 60;

/**
 * Failed visits per second. The visit of one job that always fails is repeated once a minute, 0.017 times a second.
 * Source: `operator/watch/work-queue.ts`.
 */
export const ERRORS_PER_SECOND = 0.01;
