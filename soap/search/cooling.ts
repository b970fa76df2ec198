/** Proposals of the first cycle, and how much longer each is than the one before. */
const FIRST_CYCLE = 500;
const GROWTH = 1.5;

/** How much hotter than asked a cycle begins, and how much colder it ends. */
const SPAN = 10;

/**
 * The inverse temperature of a chain's next proposal. The paper keeps it constant; here it rises in cycles, from a tenth of
 * what is asked to ten times as much, so that a chain crosses the hills around a strategy and then goes down to the bottom
 * of a valley, again and again, each time with more patience. Within a proposal it is a constant, so every step is the
 * paper's for that temperature. It depends on the number of proposals alone.
 */
export function cooledBeta(beta: number, proposals: number): number {
  // Cycle k begins after FIRST_CYCLE * (GROWTH ** k - 1) / (GROWTH - 1) proposals.
  const scaled = 1 + (proposals * (GROWTH - 1)) / FIRST_CYCLE;
  const cycle = Math.floor(Math.log(scaled) / Math.log(GROWTH));
  const share = (scaled / GROWTH ** cycle - 1) / (GROWTH - 1);
  return beta * SPAN ** (2 * share - 1);
}
