import type { GradientTerm } from '../../../soap/tasks/gradient-terms.ts';
import type { PlacedPart } from '../../../soap/tasks/layout.ts';
import type { Stage } from '../segments/stage.ts';

/** What the backward tasks of a device's parts do for the gradients of its shards. */
export class Contributions {
  readonly #shards = new Map<PlacedPart, number[]>();
  readonly #stages = new Map<PlacedPart, Stage[]>();
  readonly #completed = new Map<PlacedPart, number[]>();

  /**
   * @param terms of a shard's gradient, in the order in which they come
   * @param stageOf adds a term to the gradient; undefined where it is already there
   * @returns how many parts contribute
   */
  add(
    shard: number,
    terms: readonly GradientTerm[],
    stageOf: (term: GradientTerm, index: number) => Stage | undefined,
  ): number {
    for (const [index, term] of terms.entries()) {
      const stage = stageOf(term, index);
      if (stage !== undefined) append(this.#stages, term.part, stage);
    }
    const parts = new Set(terms.map(({ part }) => part));
    for (const part of parts) append(this.#shards, part, shard);
    const last = terms.at(-1)?.part;
    if (last !== undefined) append(this.#completed, last, shard);
    return parts.size;
  }

  /** Shards that a part's backward task contributes to. */
  shardsOf(part: PlacedPart): readonly number[] {
    return this.#shards.get(part) ?? [];
  }

  /** Shards that it contributes to last. */
  completedBy(part: PlacedPart): readonly number[] {
    return this.#completed.get(part) ?? [];
  }

  /** Stages that add its terms to gradients. */
  stagesOf(part: PlacedPart): readonly Stage[] {
    return this.#stages.get(part) ?? [];
  }
}

function append<T>(lists: Map<PlacedPart, T[]>, part: PlacedPart, item: T): void {
  const list = lists.get(part);
  if (list === undefined) lists.set(part, [item]);
  else list.push(item);
}
