import type { Reduction } from './all-reduce.ts';

/** Elements of a shard whose terms are added in one order. */
export interface OrderedRun {
  readonly start: number;
  readonly end: number;
  /** The devices whose terms are added, from the first to the last. */
  readonly order: readonly number[];
}

/**
 * The order in which a reduction of a single node adds what its devices have, element by element: whoever adds in this order has the
 * reduction's bits.
 */
export function termOrder({ algorithm, devices, nodes }: Reduction, length: number): OrderedRun[] {
  if (nodes.length !== 1) throw new Error(`internal: the order of a sum over ${nodes.length} nodes was asked for`);
  if (algorithm === 'exchange' || algorithm === 'owner') {
    return [{ start: 0, end: length, order: algorithm === 'owner' ? nodes[0]! : devices }];
  }
  // Of a ring and of a hierarchy of one node: run k starts at device k and goes round.
  const ring = algorithm === 'ring' ? devices : nodes[0]!;
  const count = ring.length;
  // Two terms have one sum, whichever comes first.
  if (count === 2) return [{ start: 0, end: length, order: ring }];
  return ring.map((_, k) => ({
    start: Math.floor((k * length) / count),
    end: Math.floor(((k + 1) * length) / count),
    order: ring.map((__, i) => ring[(k + i) % count]!),
  }));
}
