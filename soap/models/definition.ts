import type { Graph } from '../graph/graph.ts';
import type { LossName } from '../graph/loss.ts';
import type { ModelParameters, ParameterSpecs, ParameterValue } from './parameters.ts';
import { readParameters } from './parameters.ts';

/** A parameter as help texts show it. */
export interface ParameterDescription {
  readonly name: string;
  readonly default: ParameterValue;
  readonly expected: string;
  readonly meaning: string;
}

/** A model that comes with the program. */
export interface BuiltinModel {
  readonly name: string;
  /** One line for lists of models. */
  readonly summary: string;
  /** The loss that it is usually trained with; what plans of it assume. */
  readonly loss: LossName;
  readonly parameters: readonly ParameterDescription[];
  /**
   * The graph for a batch of so many samples.
   * @throws {OpError} for parameters that are unknown, have wrong values, or do not fit each other
   */
  build(batch: number, given: ModelParameters): Graph;
}

/** What a model's file says of it. */
interface ModelDefinition<V> {
  readonly name: string;
  readonly summary: string;
  readonly loss: LossName;
  readonly parameters: ParameterSpecs<V>;
  build(batch: number, values: V): Graph;
}

/** Makes a built-in model: parameters are read and checked before the model is built. */
export function defineModel<V>(definition: ModelDefinition<V>): BuiltinModel {
  const { name, summary, loss, parameters } = definition;
  return {
    name,
    summary,
    loss,
    parameters: describeParameters(parameters),
    build: (batch, given) => definition.build(batch, readParameters(name, parameters, given)),
  };
}

function describeParameters<V>(specs: ParameterSpecs<V>): ParameterDescription[] {
  const descriptions: ParameterDescription[] = [];
  for (const name in specs) {
    const spec = specs[name];
    const { expected, meaning } = spec;
    descriptions.push({ name, default: spec.write(spec.default), expected, meaning });
  }
  return descriptions;
}
