import { few } from '../../soap/plan/plan-differences.ts';
import type { Graph } from '../../soap/graph/graph.ts';
import { isTrained } from '../../soap/graph/graph.ts';
import { isFoldedName } from '../../soap/conversion/trained.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

/**
 * How much of a model keeps its values, so that whoever froze it sees whether the globs meant as much; and what may have been meant too,
 * as an exporter has given it a name of its own.
 */
export function frozenInWords({ tensors }: Graph): string[] {
  const parameters = tensors.filter(({ role }) => role === 'parameter');
  const frozen = parameters.filter((parameter) => !isTrained(parameter));
  const numbers = (some: typeof parameters): string =>
    some.reduce((sum, { shape }) => sum + elementCount(shape), 0).toLocaleString('en-US');
  const renamed = parameters.filter((parameter) => isTrained(parameter) && isFoldedName(parameter.name));
  return [
    `frozen: ${frozen.length} of ${parameters.length} parameters, ${numbers(frozen)} of ${numbers(parameters)} numbers`,
    ...(renamed.length === 0
      ? []
      : [
          `trained, under names that the exporter made up: ${few(renamed.map(({ name }) => name))}; ` +
            'if they are meant to be frozen, export the model in training mode, which keeps the names of the modules, or name them in spec.training.frozen too',
        ]),
  ];
}
