/** Two devices, each of which measures the way to the other. */
export type LinkPair = readonly [number, number];

/** Others that a node, or the first device of one, measures the way to: all pairs of a large cluster would take minutes. */
const MAX_PARTNERS = 15;

/**
 * Who measures with whom, slot by slot. In a slot a node takes part in one pair at most, so that no link is shared; nodes are
 * represented by their first device. First come pairs of nodes, then pairs within nodes.
 * @param nodes by device
 */
export function linkSlots(nodes: readonly string[]): LinkPair[][] {
  const groups = [...Map.groupBy(nodes.keys(), (device) => nodes[device]!).values()];
  const first = groups.map(([device]) => device!);
  const within = Array.from({ length: Math.max(0, ...groups.map(({ length }) => length - 1)) }, (_, i) =>
    groups.flatMap(([device, ...others]): LinkPair[] => (others[i] === undefined ? [] : [[device!, others[i]]])),
  );
  return [...tournament(first).slice(0, MAX_PARTNERS), ...within.slice(0, MAX_PARTNERS)];
}

/** Rounds in which all meet all, each once a round. Source: the circle method of round-robin tournaments. */
function tournament(players: readonly number[]): LinkPair[][] {
  if (players.length < 2) return [];
  const seats: (number | undefined)[] = players.length % 2 === 0 ? [...players] : [...players, undefined];
  return Array.from({ length: seats.length - 1 }, () => {
    const pairs = Array.from({ length: seats.length / 2 }, (_, i): LinkPair | undefined => {
      const [a, b] = [seats[i], seats[seats.length - 1 - i]];
      return a === undefined || b === undefined ? undefined : [a, b];
    });
    seats.splice(1, 0, seats.pop());
    return pairs.filter((pair) => pair !== undefined);
  });
}
