import type { Graph } from '../graph/graph.ts';
import { createRandom } from '../random.ts';

/**
 * Initial values of every parameter: uniform in +-1/sqrt(fan-in), weights and biases alike, as PyTorch initializes linear
 * and convolution layers (torch.nn.Linear.reset_parameters). A bias takes the fan-in of the weight before it.
 */
export function initializeWeights(graph: Graph, seed: number): ReadonlyMap<string, Float32Array> {
  const random = createRandom(seed);
  const weights = new Map<string, Float32Array>();
  for (const op of graph.ops) {
    const parameters = op.inputs.map((id) => graph.tensors[id]!).filter(({ role }) => role === 'parameter');
    const fanIn = Math.max(1, ...parameters.map(({ shape }) => shape.slice(1).reduce((a, b) => a * b, 1)));
    const bound = 1 / Math.sqrt(fanIn);
    for (const { name, shape } of parameters) {
      if (weights.has(name)) continue;
      const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
      for (let i = 0; i < values.length; i++) values[i] = (2 * random.next() - 1) * bound;
      weights.set(name, values);
    }
  }
  return weights;
}
