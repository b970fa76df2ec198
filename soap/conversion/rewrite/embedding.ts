import { numbersAttribute } from '../../ops/op.ts';
import type { Rule } from './view.ts';

/** An embedding of some steps of the tokens: a slice of [N, T] along T that takes every one. */
const steps: Rule = (view, op) => {
  const slice = op.kind === 'embedding' ? view.producer(op.inputs[0]!, 'slice') : undefined;
  if (slice === undefined || Object.keys(op.attributes).length > 0) return undefined;
  const [axes, starts] = ['axes', 'starts'].map((name) => numbersAttribute(slice.attributes, name));
  if (String(axes) !== '1' || String(numbersAttribute(slice.attributes, 'steps')) !== '1') return undefined;
  const attributes = { start: starts![0]!, steps: view.tensor(op.inputs[0]!).shape[1]! };
  return { kind: 'embedding', name: op.name, inputs: [slice.inputs[0]!, op.inputs[1]!], attributes };
};

export const EMBEDDING_RULES: readonly Rule[] = [steps];
