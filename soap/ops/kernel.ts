import type { Graph, Op } from '../graph/graph.ts';
import type { OnnxGraph } from '../onnx/model.ts';
import type { Region } from '../strategy/region.ts';
import { regionShape } from '../strategy/region.ts';
import type { Value } from './emitter.ts';
import { Emitter } from './emitter.ts';
import { opDefinition } from './index.ts';
import type { Part } from './op.ts';
import { opSignature } from './op.ts';

/** The part of an op that computes a box of its first output. */
export function opPart(graph: Graph, op: Op, output: Region): Part {
  const signature = opSignature(graph, op);
  const definition = opDefinition(op.kind);
  return { signature, output, inputs: op.inputs.map((_, input) => definition.inputRegion(signature, output, input)) };
}

/** The kernels of a part, with what the forward one keeps for the backward one. */
export interface PartKernels {
  /** Reads `input0`...; writes `output0` and `saved0`... */
  readonly forward: OnnxGraph;
  /** Writes `gradInput0`... for the inputs that want a gradient; undefined where none does. */
  readonly backward: OnnxGraph | undefined;
}

/** Emits the kernels of a part. A loss, the end of the graph, has a backward kernel that reads no output gradient. */
export function partKernels(graph: Graph, op: Op, part: Part, wantsGradInput: readonly boolean[]): PartKernels {
  const inputs = op.inputs.map((id, index) => value(graph, id, `input${index}`, part.inputs[index]!));
  const outputs = op.outputs.map((id, index) => value(graph, id, `output${index}`, part.output));
  const definition = opDefinition(op.kind);
  const forwardEmitter = new Emitter({ inputs, outputs, saved: [], wantsGradInput: [] });
  definition.forward(forwardEmitter, part);
  const forward = forwardEmitter.build(`${op.name}.forward`);
  if (!wantsGradInput.includes(true)) return { forward, backward: undefined };
  const saved = savedValues(forward);
  const backwardEmitter = new Emitter({ inputs, outputs, saved, wantsGradInput });
  definition.backward(backwardEmitter, part);
  return { forward, backward: backwardEmitter.build(`${op.name}.backward`) };
}

function value(graph: Graph, tensor: number, name: string, region: Region): Value {
  return { name, dtype: graph.tensors[tensor]!.dtype, shape: regionShape(region) };
}

function savedValues(forward: OnnxGraph): Value[] {
  return forward.outputs
    .filter(({ name }) => name.startsWith('saved'))
    .map(({ name, dtype, shape }) => ({ name, dtype, shape: shape.filter((extent) => typeof extent === 'number') }));
}
