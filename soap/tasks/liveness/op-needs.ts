import { opClasses } from '../../graph/op-classes.ts';
import type { Graph } from '../../graph/graph.ts';
import { ELEMENT_BYTES } from '../../onnx/element-types.ts';
import { partKernels, wholePart } from '../../ops/kernel.ts';
import { maskBytes } from '../masks.ts';
import { inputGradients } from '../../graph/input-gradients.ts';
import { producersOf } from '../layout.ts';

/** What an op asks of memory beside its outputs, whatever its split. */
export interface OpNeeds {
  /** Bytes that the forward pass saves for the backward one, and of masks, for each byte of its outputs. */
  readonly savedShare: Float64Array;
  /** Whether a backward pass reads what the op computes, so that it is needed until then. */
  readonly isHeld: readonly boolean[];
  readonly hasBackward: readonly boolean[];
  /** By op, the ops of whose outputs it is the last reader; one that nobody reads is its own. */
  readonly lastReads: readonly (readonly number[])[];
}

const known = new WeakMap<Graph, OpNeeds>();

/** Looks at the kernels of every op, unsplit; ops that are alike are looked at once, and graphs too. */
export function opNeeds(graph: Graph): OpNeeds {
  let needs = known.get(graph);
  if (needs === undefined) {
    needs = findNeeds(graph);
    known.set(graph, needs);
  }
  return needs;
}

interface ClassNeeds {
  readonly savedShare: number;
  readonly backwardReads: ReadonlySet<string>;
  readonly hasBackward: boolean;
}

function findNeeds(graph: Graph): OpNeeds {
  const classes = opClasses(graph);
  const gradients = inputGradients(graph);
  const producers = producersOf(graph);
  const byClass = new Map<string, ClassNeeds>();
  const ofOp = graph.ops.map((op): ClassNeeds => {
    const wanted = gradients[op.id]!;
    const key = `${classes[op.id]} ${wanted.join()}`;
    const needs = byClass.get(key) ?? classNeeds(graph, op.id, wanted);
    byClass.set(key, needs);
    return needs;
  });
  const isHeld = graph.ops.map(({ id, outputs }) => outputs.some((_, k) => ofOp[id]!.backwardReads.has(`output${k}`)));
  const lastReader = graph.ops.map(({ id }) => id);
  for (const { id, inputs } of graph.ops) {
    inputs.forEach((tensor, input) => {
      const producer = producers[tensor]?.op.id;
      if (producer === undefined) return;
      lastReader[producer] = id;
      isHeld[producer] ||= ofOp[id]!.backwardReads.has(`input${input}`);
    });
  }
  const lastReads: number[][] = graph.ops.map(() => []);
  lastReader.forEach((reader, op) => lastReads[reader]!.push(op));
  return {
    savedShare: Float64Array.from(ofOp, ({ savedShare }) => savedShare),
    isHeld,
    hasBackward: ofOp.map(({ hasBackward }) => hasBackward),
    lastReads,
  };
}

function classNeeds(graph: Graph, id: number, wanted: readonly boolean[]): ClassNeeds {
  const op = graph.ops[id]!;
  const { forward, backward } = partKernels(graph, op, wholePart(graph, op), wanted);
  // A mask, too, is needed from the one to the other.
  let [savedBytes, outputBytes] = [maskBytes(op, wholePart(graph, op)), 0];
  for (const { name, dtype, shape } of forward.main.outputs) {
    const bytes = shape.reduce<number>((product, extent) => product * Number(extent), ELEMENT_BYTES[dtype]);
    if (name.startsWith('saved')) savedBytes += bytes;
    else outputBytes += bytes;
  }
  return {
    savedShare: outputBytes === 0 ? 0 : savedBytes / outputBytes,
    backwardReads: new Set(backward?.main.inputs.map(({ name }) => name)),
    hasBackward: backward !== undefined,
  };
}
