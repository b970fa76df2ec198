import type { Graph, Model } from '../graph/graph.ts';
import { OpError } from '../ops/op.ts';
import { alexnet } from './alexnet.ts';
import { initializeWeights } from './initialize.ts';
import { lenet } from './lenet.ts';

export type ModelParameters = Readonly<Record<string, number | string | boolean>>;

interface BuiltinModel {
  /** Names of the parameters it takes. */
  readonly parameters: readonly string[];
  build(batch: number, parameters: ModelParameters): Graph;
}

const BUILTIN_MODELS: Readonly<Record<string, BuiltinModel>> = {
  alexnet: {
    parameters: ['classes'],
    build: (batch, parameters) => alexnet(batch, { classes: positiveInteger(parameters, 'classes', 1000) }),
  },
  lenet: { parameters: [], build: (batch) => lenet(batch) },
};

/** Names of the built-in models. */
const BUILTIN_MODEL_NAMES: readonly string[] = Object.keys(BUILTIN_MODELS);

/**
 * A built-in model's graph without weights, which is all that planning needs.
 * @throws {OpError} for a name or parameter that is not known.
 */
export function builtinGraph(name: string, batch: number, parameters: ModelParameters = {}): Graph {
  const model = Object.hasOwn(BUILTIN_MODELS, name) ? BUILTIN_MODELS[name] : undefined;
  if (model === undefined)
    throw new OpError(`there is no built-in model '${name}'; there are ${BUILTIN_MODEL_NAMES.join(', ')}`);
  const unknown = Object.keys(parameters).filter((parameter) => !model.parameters.includes(parameter));
  if (unknown.length > 0) {
    const known = model.parameters.join(', ') || 'none';
    throw new OpError(
      `model '${name}' has no parameter ${unknown.map((p) => `'${p}'`).join(', ')}; it takes: ${known}`,
    );
  }
  return model.build(batch, parameters);
}

/** A built-in model with weights drawn from the seed. */
export function builtinModel(name: string, batch: number, seed: number, parameters: ModelParameters = {}): Model {
  const graph = builtinGraph(name, batch, parameters);
  return { graph, weights: initializeWeights(graph, seed) };
}

function positiveInteger(parameters: ModelParameters, name: string, otherwise: number): number {
  const value = parameters[name] ?? otherwise;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1) {
    throw new OpError(`model parameter '${name}' is ${JSON.stringify(value)}; expected a positive integer`);
  }
  return value;
}
