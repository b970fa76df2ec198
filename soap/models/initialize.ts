import type { Graph, Op, Shape } from '../graph/graph.ts';
import type { Random } from '../random.ts';
import { createRandom } from '../random.ts';
import { elementCount } from '../onnx/indexing.ts';

/** How the values of a parameter are drawn. */
type Rule =
  | { readonly law: 'uniform'; readonly bound: number }
  | { readonly law: 'normal'; readonly deviation: number }
  | { readonly law: 'constant'; readonly value: number };

/** Gives the rule of a parameter from its position among an op's inputs and the shapes of those that are parameters. */
type OpRule = (position: number, shapes: readonly Shape[]) => Rule;

/** Weights and biases uniform in +-1/sqrt(fan-in). Source: reset_parameters of torch.nn.Linear and _ConvNd. */
const byFanIn: OpRule = (_position, [weight]) => uniform(elementCount(weight!.slice(1)));

/** Scales 1, shifts 0. Source: reset_parameters of torch.nn.BatchNorm2d and LayerNorm. */
const normalization: OpRule = (position) => ({ law: 'constant', value: position === 0 ? 1 : 0 });

/** The rules by kind of op: PyTorch's for the layer, where it has one. */
const RULES: Readonly<Record<string, OpRule>> = {
  linear: byFanIn,
  conv2d: byFanIn,
  batchNorm: normalization,
  layerNorm: normalization,
  // Source: reset_parameters of torch.nn.Embedding.
  embedding: () => ({ law: 'normal', deviation: 1 }),
  // All weights and biases by the number of units. Source: reset_parameters of torch.nn.RNNBase.
  lstm: (_position, [inputWeight]) => uniform(inputWeight![1]!),
  // Each expert is two linear layers: up [E, F, W] and its bias, down [E, W, F] and its bias.
  experts: (position, shapes) => uniform(shapes[position < 2 ? 0 : 2]![2]!),
  // Learned positions. Source: pos_embedding of torchvision's VisionTransformer encoder.
  add: () => ({ law: 'normal', deviation: 0.02 }),
  // The class token. Source: class_token of torchvision's VisionTransformer.
  expand: () => ({ law: 'constant', value: 0 }),
};

/** Initial values of every parameter of a built-in model, drawn op by op from the seed. */
export function initializeWeights(graph: Graph, seed: number): ReadonlyMap<string, Float32Array> {
  const random = createRandom(seed);
  const weights = new Map<string, Float32Array>();
  for (const op of graph.ops) {
    const parameters = op.inputs.map((id) => graph.tensors[id]!).filter(({ role }) => role === 'parameter');
    const shapes = parameters.map(({ shape }) => shape);
    for (const [position, { name, shape }] of parameters.entries()) {
      if (!weights.has(name)) weights.set(name, draw(ruleOf(op)(position, shapes), elementCount(shape), random));
    }
  }
  return weights;
}

function ruleOf({ kind, name }: Op): OpRule {
  const rule = RULES[kind];
  if (rule === undefined) throw new Error(`internal: op '${name}' has parameters, and '${kind}' no rule to draw them`);
  return rule;
}

function draw(rule: Rule, count: number, random: Random): Float32Array {
  const values = new Float32Array(count);
  switch (rule.law) {
    case 'constant':
      return values.fill(rule.value);
    case 'uniform':
      for (let i = 0; i < count; i++) values[i] = (2 * random.next() - 1) * rule.bound;
      return values;
    case 'normal':
      for (let i = 0; i < count; i++) values[i] = random.normal() * rule.deviation;
      return values;
  }
}

function uniform(fanIn: number): Rule {
  return { law: 'uniform', bound: 1 / Math.sqrt(fanIn) };
}
