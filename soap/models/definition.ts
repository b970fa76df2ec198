import type { Graph } from '../graph/graph.ts';
import type { LossName } from '../training/loss.ts';
import { OpError } from '../ops/op.ts';
import type { BrokenRule, ModelParameters, ParameterProblem, ParameterSpecs, ParameterValue } from './parameters.ts';
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
  /** All that is wrong with parameters: unknown ones, wrong values, and those that do not fit each other. */
  problems(given: ModelParameters): readonly ParameterProblem[];
  /**
   * The graph for a batch of so many samples.
   * @throws {OpError} listing all that is wrong with the parameters
   */
  build(batch: number, given: ModelParameters): Graph;
}

/** What a model's file says of it. */
interface ModelDefinition<V> {
  readonly name: string;
  readonly summary: string;
  readonly loss: LossName;
  readonly parameters: ParameterSpecs<V>;
  /** Which rules over several parameters are broken; without it there are none. */
  readonly brokenRules?: (values: NoInfer<V>) => readonly BrokenRule[];
  build(batch: number, values: V): Graph;
}

/** Makes a built-in model: parameters are read and checked before the model is built. */
export function defineModel<V>(definition: ModelDefinition<V>): BuiltinModel {
  const { name, summary, loss, parameters, brokenRules = () => [] } = definition;
  const read = (given: ModelParameters) => readParameters(name, parameters, given, brokenRules);
  return {
    name,
    summary,
    loss,
    parameters: describeParameters(parameters),
    problems: (given) => read(given).problems,
    build(batch, given) {
      const { values, problems } = read(given);
      if (problems.length > 0) throw new OpError(problemText(name, problems));
      return definition.build(batch, values);
    },
  };
}

/** One problem is one line; several have a line each. */
function problemText(model: string, problems: readonly ParameterProblem[]): string {
  const [first, ...others] = problems.map(({ parameter, message }) => `${parameter}: ${message}`);
  if (others.length === 0) return `parameter of model '${model}': ${first}`;
  return [`parameters of model '${model}' have ${problems.length} problems:`, first, ...others].join('\n  ');
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
