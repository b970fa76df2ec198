import { compare } from './locality.ts';

/** A node that offers devices, with the domains it is in, coarsest first. */
export interface Offer {
  readonly name: string;
  readonly free: number;
  readonly domains: readonly string[];
  /** Peak rate of one of its devices. */
  readonly flopsPerSec: number;
}

/** Nodes with how many devices each gives. */
export type Choice<T extends Offer> = readonly { readonly offer: T; readonly count: number }[];

interface Part<T extends Offer> {
  readonly name: string;
  readonly free: number;
  readonly offers: readonly T[];
}

/**
 * Chooses between `min` and `max` devices: of one kind where that is faster than all kinds together. A step takes as long as its slowest
 * device, so that a choice is as fast as its devices would be if all were as slow as that one. Fewer than `min` are not chosen for
 * their speed.
 */
export function chooseDevices<T extends Offer>(
  offers: readonly T[],
  { min, max }: { readonly min: number; readonly max: number },
): Choice<T> {
  const kinds = Map.groupBy(offers, ({ flopsPerSec }) => flopsPerSec);
  const mixed = chooseNodes(offers, max);
  if (kinds.size < 2) return mixed;
  return [...kinds.values()]
    .map((kind) => chooseNodes(kind, max))
    .filter((choice) => countOf(choice) >= min)
    .reduce((best, choice) => (rateOf(choice) > rateOf(best) ? choice : best), mixed);
}

function countOf(choice: Choice<Offer>): number {
  return choice.reduce((sum, { count }) => sum + count, 0);
}

function rateOf(choice: Choice<Offer>): number {
  return countOf(choice) * Math.min(...choice.map(({ offer }) => offer.flopsPerSec));
}

/**
 * Chooses up to `max` devices that are near each other: in the smallest domain that has enough, else in as few domains as
 * there must be, the ones with most first; the same again within each domain, down to nodes. Ties go by name, so that equal
 * clusters give equal plans.
 */
function chooseNodes<T extends Offer>(offers: readonly T[], max: number): Choice<T> {
  return chooseBelow(offers, max, 0);
}

/** @param depth that all offers have their domain above in common */
function chooseBelow<T extends Offer>(offers: readonly T[], max: number, depth: number): Choice<T> {
  const [only] = offers;
  if (only === undefined || max <= 0) return [];
  if (offers.length === 1) return [{ offer: only, count: Math.min(only.free, max) }];
  const deepest = offers.reduce((most, { domains }) => Math.max(most, domains.length), depth);
  for (let at = deepest; at >= depth; at--) {
    const enough = partsAt(offers, at).filter(({ free }) => free >= max);
    const smallest = enough.toSorted((a, b) => a.free - b.free || compare(a.name, b.name))[0];
    if (smallest !== undefined) return spread(smallest.offers, max, at + 1);
  }
  return spread(offers, max, depth);
}

/** Takes from the parts with most first; none of them is enough alone. */
function spread<T extends Offer>(offers: readonly T[], max: number, depth: number): Choice<T> {
  const chosen: { offer: T; count: number }[] = [];
  let missing = max;
  for (const part of partsAt(offers, depth).toSorted((a, b) => b.free - a.free || compare(a.name, b.name))) {
    if (missing <= 0) break;
    chosen.push(...chooseBelow(part.offers, missing, depth + 1));
    missing -= part.free;
  }
  return chosen;
}

/** Offers by their domain at a depth; a node that is in none there is a part of its own. */
function partsAt<T extends Offer>(offers: readonly T[], depth: number): Part<T>[] {
  const groups = Map.groupBy(offers, ({ name, domains }) => domains[depth] ?? `node ${name}`);
  return [...groups].map(([name, members]) => ({
    name,
    free: members.reduce((sum, { free }) => sum + free, 0),
    offers: members,
  }));
}
