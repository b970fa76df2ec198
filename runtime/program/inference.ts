import type { Graph, Moments } from '../../soap/graph/graph.ts';
import { inferenceKernel } from '../../soap/ops/kernel.ts';
import type { PlacedPart } from '../../soap/tasks/layout.ts';
import { readsMask } from '../../soap/tasks/masks.ts';
import type { BoundKernel, KernelEngine, TensorBuffer } from '../kernels/kernels.ts';
import type { Assembly } from './assembly.ts';
import { floats } from './assembly.ts';
import type { ComputeWork } from './compute-step.ts';
import { fillsOf } from './compute-step.ts';
import type { KernelCache } from './kernel-cache.ts';
import type { ForwardProgram } from './part-program.ts';
import { placed, placedMemory } from './drafts.ts';
import { mergeStages } from './segments/merge.ts';
import type { MergedSegment } from './segments/merged-segment.ts';
import type { Stage } from './segments/stage.ts';
import { writtenBy } from './segments/stage.ts';

/** A part that infers otherwise than it trains. */
interface InferringPart {
  readonly stage: Stage;
  /** Undefined where it does not go by running moments. */
  readonly moments: InferringMoments | undefined;
}

/** Memory of a part's channels of the running mean and variance. */
interface InferringMoments {
  /** Name of the op. */
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly mean: TensorBuffer;
  readonly variance: TensorBuffer;
}

/** A forward segment as evaluations run it. */
export interface InferenceSegment {
  /** Undefined where nothing is left to compute. */
  readonly kernel: BoundKernel | undefined;
  readonly writes: ReadonlySet<TensorBuffer>;
  /** By step: what must be complete before it, and whether it ends with messages. */
  readonly steps: readonly { readonly fills: readonly Pick<Assembly, 'fill' | 'memory'>[]; readonly sends: boolean }[];
}

export interface InferenceOptions {
  readonly graph: Graph;
  readonly engine: KernelEngine;
  readonly kernels: KernelCache;
  /** The parts of this device. */
  readonly programs: ReadonlyMap<PlacedPart, ForwardProgram>;
  readonly partOf: (work: ComputeWork) => PlacedPart;
}

/**
 * What forward passes of evaluations do otherwise than those of training: batch normalizations take their running moments in
 * place of the batch's, so that their parts have nothing to tell each other, and nothing is dropped. All else is as in training:
 * the same segments, which read and write the same memory. Source: torch.nn.BatchNorm2d and torch.nn.Dropout after `eval()`.
 */
export class Inference {
  readonly #options: InferenceOptions;
  readonly #parts = new Map<PlacedPart, InferringPart>();
  readonly #segments = new Map<MergedSegment<ComputeWork>, InferenceSegment | undefined>();

  constructor(options: InferenceOptions) {
    this.#options = options;
    for (const [part, program] of options.programs) {
      const inferring = this.#part(part, program);
      if (inferring !== undefined) this.#parts.set(part, inferring);
    }
  }

  /** A forward segment of training as evaluations run it; undefined where that is the same. */
  segment(trained: MergedSegment<ComputeWork>): InferenceSegment | undefined {
    if (!this.#segments.has(trained)) this.#segments.set(trained, this.#compile(trained));
    return this.#segments.get(trained);
  }

  /** Gives kernels the running moments, of whole ops by name. */
  async setMoments(moments: ReadonlyMap<string, Moments>): Promise<void> {
    const known = [...this.#parts.values()].flatMap(({ moments: own }) => own ?? []);
    for (const { name, start, end, mean, variance } of known) {
      const running = moments.get(name)!;
      floats(mean.host).set(running.mean.subarray(start, end));
      floats(variance.host).set(running.variance.subarray(start, end));
    }
    await this.#options.engine.upload(known.flatMap(({ mean, variance }) => [mean, variance]));
  }

  release(): void {
    for (const segment of this.#segments.values()) segment?.kernel?.release();
  }

  #part(part: PlacedPart, { memory }: ForwardProgram): InferringPart | undefined {
    const { graph, engine } = this.#options;
    const op = graph.ops[part.op]!;
    const kernel = inferenceKernel(graph, op, part);
    if (kernel === undefined) return undefined;
    if (readsMask(op)) return { stage: { graph: kernel, memory }, moments: undefined };
    const [start, end] = part.output[1]!;
    const mean = engine.allocate('float32', end - start);
    const variance = engine.allocate('float32', end - start);
    const stage = { graph: kernel, memory: { ...memory, saved0: mean, saved1: variance } };
    return { stage, moments: { name: op.name, start, end, mean, variance } };
  }

  #compile({ steps, stage }: MergedSegment<ComputeWork>): InferenceSegment | undefined {
    const works = steps.map(({ task }) => task);
    const inferring = works.map((work) => this.#parts.get(this.#options.partOf(work)));
    if (inferring.every((part) => part === undefined)) return undefined;
    const written = new Set(writtenBy(stage));
    const stages = works.flatMap((work, i) => inferenceStages(work, inferring[i]));
    const merged = mergeStages(stages, (memory) => written.has(memory));
    const writes = new Set(writtenBy(merged).map(placed));
    return {
      kernel: writes.size === 0 ? undefined : this.#options.kernels.get(merged.graph).bind(placedMemory(merged.memory)),
      writes,
      steps: works.map((work, i) => inferenceStep(work, inferring[i])),
    };
  }
}

function inferenceStages(
  { task, pass: { inputs, statistics, main } }: ComputeWork,
  inferring: InferringPart | undefined,
): Stage[] {
  const before = inputs.flatMap(({ stage }) => stage ?? []);
  if (task.stage === 'statistics') return inferring === undefined ? [...before, statistics!.stage] : before;
  return [...(statistics === undefined ? before : []), inferring?.stage ?? main];
}

function inferenceStep(work: ComputeWork, inferring: InferringPart | undefined): InferenceSegment['steps'][number] {
  const { task, pass } = work;
  if (inferring === undefined) return { fills: fillsOf(work), sends: true };
  if (task.stage === 'statistics') return { fills: pass.inputs, sends: false };
  return { fills: pass.statistics === undefined ? pass.inputs : [], sends: true };
}
