import { GraphBuilder } from '../../training/builder.ts';
import type { Graph, Model, Op } from '../../graph/graph.ts';
import { ATTENTION_RULES } from './attention.ts';
import { BY_SAMPLES_RULES } from './by-samples.ts';
import { EMBEDDING_RULES } from './embedding.ts';
import { EXPERTS_RULES } from './experts.ts';
import { GELU_RULES } from './gelu.ts';
import { GROUP_NORM_RULES } from './group-norm.ts';
import { LAYER_NORM_RULES } from './layer-norm.ts';
import { LINEAR_RULES } from './linear.ts';
import { MOVE_RULES } from './moves.ts';
import { WHERE_RULES } from './where.ts';
import type { Replacement, Rule } from './view.ts';
import { SAME, viewOf } from './view.ts';

const RULES: readonly Rule[] = [
  ...LINEAR_RULES,
  ...GELU_RULES,
  ...LAYER_NORM_RULES,
  ...GROUP_NORM_RULES,
  ...EMBEDDING_RULES,
  ...ATTENTION_RULES,
  ...EXPERTS_RULES,
  ...WHERE_RULES,
  ...MOVE_RULES,
  ...BY_SAMPLES_RULES,
];

/**
 * Puts one op in place of several that are one together, as exporters write linear layers, GELU, attention. What nothing
 * reads any more is left out.
 */
export function fuse({ graph, weights, moments }: Model): Model {
  let fused = withoutUnread(graph, new Map());
  for (let replaced = replacements(fused); replaced.size > 0; replaced = replacements(fused)) {
    fused = withoutUnread(fused, replaced);
  }
  const parameters = new Set(fused.tensors.filter(({ role }) => role === 'parameter').map(({ name }) => name));
  const kept = new Map([...weights].filter(([name]) => parameters.has(name)));
  return { graph: fused, weights: kept, ...(moments === undefined ? {} : { moments }) };
}

/** By op id: what takes its place. Of ops that share some, the later ones wait for the next round. */
function replacements(graph: Graph): Map<number, Replacement> {
  const view = viewOf(graph);
  const found = new Map<number, Replacement>();
  for (const op of graph.ops) {
    for (const rule of RULES) {
      const replacement = rule(view, op);
      if (replacement === undefined) continue;
      found.set(op.id, replacement);
      break;
    }
  }
  return found;
}

/** Builds the graph again, with replacements, of what its outputs need. */
function withoutUnread(graph: Graph, replaced: ReadonlyMap<number, Replacement>): Graph {
  const ops = graph.ops.map((op): Op & Partial<Replacement> => ({ ...op, ...replaced.get(op.id) }));
  const needed = new Set(graph.outputs);
  for (const op of ops.toReversed()) {
    if (op.outputs.some((id) => needed.has(id))) for (const id of op.inputs) needed.add(id);
  }
  const builder = new GraphBuilder();
  const ids = new Map<number, number>();
  for (const id of graph.inputs) {
    const { name, shape, dtype } = graph.tensors[id]!;
    ids.set(id, builder.input(name, shape, dtype));
  }
  const idOf = (id: number): number => {
    const known = ids.get(id);
    if (known !== undefined) return known;
    const { name, shape } = graph.tensors[id]!;
    const made = builder.parameter(name, shape);
    ids.set(id, made);
    return made;
  };
  for (const { kind, name, inputs, outputs, attributes, after = [] } of ops) {
    if (!outputs.some((id) => needed.has(id))) continue;
    if (kind === SAME) {
      ids.set(outputs[0]!, idOf(inputs[0]!));
      continue;
    }
    let first = builder.op(kind, name, inputs.map(idOf), attributes);
    for (const step of after) first = builder.op(step.kind, step.name, [first], step.attributes);
    builder.outputsOf(first).forEach((id, i) => ids.set(outputs[i]!, id));
  }
  return builder.build(graph.name, graph.outputs.map(idOf));
}
