import type { TrainingGraph } from '../../soap/training/loss.ts';
import type { Boxed } from '../../soap/region/region.ts';
import type { PlacedPart } from '../../soap/tasks/layout.ts';
import type { ComputeTask } from '../../soap/tasks/task-graph.ts';
import type { TensorBuffer } from '../kernels/kernels.ts';
import type { Outgoing } from './outgoing.ts';
import { outgoing } from './outgoing.ts';
import type { BackwardProgram, DataInput, ForwardProgram, ProgramContext } from './part-program.ts';
import { backwardProgram, forwardProgram } from './part-program.ts';
import { MOMENTS } from './running-moments.ts';

/** The programs of the parts that a device has, and what each of them sends to the parts of others. */
export class DeviceParts {
  readonly forward: ReadonlyMap<PlacedPart, ForwardProgram>;
  readonly #backward: ReadonlyMap<PlacedPart, BackwardProgram>;
  /** By op id: what is looked at after each pass is asked for by op. */
  readonly #byOp: ReadonlyMap<number, readonly ForwardProgram[]>;
  readonly #context: ProgramContext;

  constructor(context: ProgramContext) {
    this.#context = context;
    const mine = context.layout.parts.flat().filter(({ device }) => device === context.device);
    const forward = new Map<PlacedPart, ForwardProgram>();
    const backward = new Map<PlacedPart, BackwardProgram>();
    this.forward = forward;
    this.#backward = backward;
    for (const part of mine) {
      const program = forwardProgram(context, part, (producer, k) => forward.get(producer)!.outputs[k]!);
      forward.set(part, program);
    }
    this.#byOp = Map.groupBy(forward.values(), ({ part }) => part.op);
    for (const part of mine.toReversed()) {
      const gradInputOf = (reader: PlacedPart, input: number): Boxed<TensorBuffer> => this.gradInput(reader, input);
      const program = backwardProgram(context, forward.get(part)!, gradInputOf);
      if (program !== undefined) backward.set(part, program);
    }
  }

  /** The boxes of graph inputs to fill before each pass. */
  get dataInputs(): DataInput[] {
    return [...this.forward.values()].flatMap(({ dataInputs }) => dataInputs);
  }

  /** The parts that read masks, and the memory of these. */
  get masks(): { readonly part: PlacedPart; readonly mask: TensorBuffer }[] {
    return [...this.forward.values()].flatMap(({ part, mask }) => (mask === undefined ? [] : [{ part, mask }]));
  }

  /** The part of a task of this device. */
  partOf({ op, part }: ComputeTask): PlacedPart {
    return this.#context.layout.parts[op]![part]!;
  }

  /** The program of a task of this device. */
  programOf(task: ComputeTask): ForwardProgram | BackwardProgram {
    return (task.kind === 'forward' ? this.forward : this.#backward).get(this.partOf(task))!;
  }

  ofOp(op: number): readonly ForwardProgram[] {
    return this.#byOp.get(op) ?? [];
  }

  gradInput(part: PlacedPart, input: number): Boxed<TensorBuffer> {
    const box = this.#backward.get(part)?.gradInputs[input];
    if (box === undefined)
      throw new Error(`internal: part ${part.index} of op ${part.op} has no gradient of input ${input}`);
    return box;
  }

  /** What is looked at once a pass is over: losses, and the moments of normalizations. */
  readAfterPass({ lossOps, graph }: TrainingGraph): TensorBuffer[] {
    const losses = lossOps.flatMap((op) => this.ofOp(op));
    const normalizations = graph.ops.filter(({ kind }) => kind === 'batchNorm').flatMap(({ id }) => this.ofOp(id));
    return [
      ...losses.flatMap(({ outputs }) => outputs.map(({ memory }) => memory)),
      ...normalizations.flatMap(({ memory }) => MOMENTS.map((name) => memory[name]!)),
    ];
  }

  /** What a part sends once its forward pass is through. */
  activationTransfers(producer: PlacedPart): Outgoing[] {
    const { flow } = this.#context;
    const { outputs } = this.forward.get(producer)!;
    return outputs.flatMap((from, output) =>
      flow
        .activationsSent(producer, output)
        .map((reader) => outgoing(flow.transfer('activation', reader, producer), from)),
    );
  }

  /** What a part sends once its backward pass is through. */
  gradientTransfers(consumer: PlacedPart): Outgoing[] {
    const { flow } = this.#context;
    return this.#backward.get(consumer)!.gradInputs.flatMap((from, input) => {
      if (from === undefined) return [];
      return flow
        .gradientsSent(consumer, input)
        .map(({ producer, region }) =>
          outgoing(flow.transfer('gradient', { consumer, input, region }, producer), from),
        );
    });
  }
}
