import type { Rule } from './view.ts';

/** A choice takes any whole number but 0 for true: it needs no cast to a boolean. Of others the cast keeps gradients away. */
const condition: Rule = (view, op) => {
  const cast = op.kind === 'where' ? view.producer(op.inputs[0]!, 'cast') : undefined;
  if (cast?.attributes['to'] !== 'bool' || view.tensor(cast.inputs[0]!).dtype !== 'int64') return undefined;
  return { kind: 'where', name: op.name, inputs: op.inputs.with(0, cast.inputs[0]!), attributes: op.attributes };
};

export const WHERE_RULES: readonly Rule[] = [condition];
