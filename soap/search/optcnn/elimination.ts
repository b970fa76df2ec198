/** An edge between two different nodes: `costs[i * choicesOfB + j]` where node a has choice i and node b choice j. */
export interface CostEdge {
  readonly a: number;
  readonly b: number;
  readonly costs: Float64Array;
}

/** One choice is to be made for each node, at the least sum of all costs of nodes and edges. */
export interface AdditiveProblem {
  /** By node, then choice. */
  readonly nodeCosts: readonly Float64Array[];
  readonly edges: readonly CostEdge[];
}

/** In which order nodes are eliminated, and what is left. */
export interface EliminationPlan {
  readonly order: readonly number[];
  readonly rest: readonly number[];
  /** Sums that the elimination looks at, and combinations of the rest. */
  readonly work: number;
}

/** Combinations of the rest that are tried, at most. */
const MAX_COMBINATIONS = 2 ** 20;

/**
 * Finds an order in which nodes with at most two neighbours are eliminated, each joining its neighbours. Source: Jia et al.,
 * "Exploring hidden dimensions in parallelizing convolutional neural networks", 2018, section 5.2: node and edge elimination.
 * Undefined where what is left has too many combinations: the graph does not reduce.
 * @param sizes choices of each node
 */
export function planElimination(
  sizes: readonly number[],
  edges: readonly Pick<CostEdge, 'a' | 'b'>[],
): EliminationPlan | undefined {
  const neighbours = sizes.map(() => new Set<number>());
  for (const { a, b } of edges) {
    neighbours[a]!.add(b);
    neighbours[b]!.add(a);
  }
  const left = new Set(sizes.keys());
  const waiting = [...left];
  const order: number[] = [];
  let work = 0;
  for (let node = waiting.shift(); node !== undefined; node = waiting.shift()) {
    const around = [...neighbours[node]!];
    if (!left.has(node) || around.length > 2) continue;
    left.delete(node);
    order.push(node);
    work += around.reduce((product, other) => product * sizes[other]!, sizes[node]!);
    for (const other of around) {
      neighbours[other]!.delete(node);
      for (const third of around) if (third !== other) neighbours[other]!.add(third);
      waiting.push(other);
    }
  }
  const rest = [...left];
  const combinations = rest.reduce((product, node) => product * sizes[node]!, 1);
  return combinations > MAX_COMBINATIONS ? undefined : { order, rest, work: work + combinations * rest.length };
}

/** How a node's best choice follows from its neighbours', by choice of the first, then of the second. */
interface Decision {
  readonly node: number;
  readonly around: readonly number[];
  readonly best: Int32Array;
}

/** A solution of an additive problem. */
export interface AdditiveSolution {
  /** By node. */
  readonly choices: readonly number[];
  readonly cost: number;
}

/** The best choices by dynamic programming; of equal ones the first of each node. */
export function solveByElimination(problem: AdditiveProblem, plan: EliminationPlan): AdditiveSolution {
  const nodeCosts = problem.nodeCosts.map((costs) => costs.slice());
  const tables = new EdgeTables(nodeCosts.map(({ length }) => length));
  for (const edge of problem.edges) tables.add(edge);
  const decisions = plan.order.map((node) => eliminate(node, nodeCosts, tables));
  const choices = nodeCosts.map(() => 0);
  bestCombination(plan.rest, nodeCosts, tables, choices);
  for (const { node, around, best } of decisions.toReversed()) {
    const at = around.reduce((index, other) => index * nodeCosts[other]!.length + choices[other]!, 0);
    choices[node] = best[at]!;
  }
  return { choices, cost: costOf(problem, choices) };
}

/** The sum of all costs of some choices. */
export function costOf({ nodeCosts, edges }: AdditiveProblem, choices: readonly number[]): number {
  const ofNodes = nodeCosts.reduce((sum, costs, node) => sum + costs[choices[node]!]!, 0);
  return edges.reduce(
    (sum, { a, b, costs }) => sum + costs[choices[a]! * nodeCosts[b]!.length + choices[b]!]!,
    ofNodes,
  );
}

/** One table for each two joined nodes; parallel edges are added up. */
class EdgeTables {
  readonly #sizes: readonly number[];
  readonly #around: readonly Map<number, Float64Array>[];

  constructor(sizes: readonly number[]) {
    this.#sizes = sizes;
    this.#around = sizes.map(() => new Map());
  }

  neighbours(node: number): number[] {
    return [...this.#around[node]!.keys()];
  }

  /** The table of two nodes by choice of the first, then of the second. */
  get(a: number, b: number): Float64Array {
    return this.#around[a]!.get(b)!;
  }

  add({ a, b, costs }: CostEdge): void {
    const known = this.#around[a]!.get(b);
    const sum = known === undefined ? costs.slice() : known.map((cost, i) => cost + costs[i]!);
    this.#around[a]!.set(b, sum);
    this.#around[b]!.set(a, transposed(sum, this.#sizes[a]!, this.#sizes[b]!));
  }

  remove(node: number): void {
    for (const other of this.#around[node]!.keys()) this.#around[other]!.delete(node);
    this.#around[node]!.clear();
  }
}

function transposed(table: Float64Array, rows: number, columns: number): Float64Array {
  const result = new Float64Array(table.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) result[j * rows + i] = table[i * columns + j]!;
  return result;
}

/** Adds the best of a node to its neighbours: to one's own costs, or to the edge between two. */
function eliminate(node: number, nodeCosts: readonly Float64Array[], tables: EdgeTables): Decision {
  const around = tables.neighbours(node);
  const [first, second] = around;
  const own = nodeCosts[node]!;
  const size = own.length;
  const before = first === undefined ? own : withOwn(tables.get(first, node), own);
  const after = second === undefined ? new Float64Array(size) : tables.get(second, node);
  const [rows, columns] = [before.length / size, after.length / size];
  const costs = new Float64Array(rows * columns);
  const best = new Int32Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const [atI, atJ] = [i * size, j * size];
      let least = Infinity;
      let choice = 0;
      for (let k = 0; k < size; k++) {
        const cost = before[atI + k]! + after[atJ + k]!;
        if (cost < least) {
          least = cost;
          choice = k;
        }
      }
      costs[i * columns + j] = least;
      best[i * columns + j] = choice;
    }
  }
  tables.remove(node);
  if (second !== undefined) tables.add({ a: first!, b: second, costs });
  else if (first !== undefined) nodeCosts[first]!.forEach((cost, i, ofFirst) => (ofFirst[i] = cost + costs[i]!));
  return { node, around, best };
}

/** A table of the neighbour's choices and the node's, with the node's own costs. */
function withOwn(table: Float64Array, own: Float64Array): Float64Array {
  return table.map((cost, i) => cost + own[i % own.length]!);
}

/** Tries all combinations of a few nodes, and writes the best of them down. */
function bestCombination(
  nodes: readonly number[],
  nodeCosts: readonly Float64Array[],
  tables: EdgeTables,
  choices: number[],
): void {
  const tried = [...choices];
  let least = Infinity;
  const visit = (depth: number, cost: number): void => {
    const node = nodes[depth];
    if (node === undefined) {
      if (cost >= least) return;
      least = cost;
      for (const each of nodes) choices[each] = tried[each]!;
      return;
    }
    const before = nodes.slice(0, depth).filter((other) => tables.neighbours(other).includes(node));
    const size = nodeCosts[node]!.length;
    for (let choice = 0; choice < size; choice++) {
      tried[node] = choice;
      const joined = before.reduce((sum, other) => sum + tables.get(other, node)[tried[other]! * size + choice]!, 0);
      visit(depth + 1, cost + nodeCosts[node]![choice]! + joined);
    }
  };
  visit(0, 0);
}
