import type { Region } from '../region/region.ts';
import { regionShape, regionVolume } from '../region/region.ts';
import type { TargetRows } from './cross-entropy-rows.ts';
import {
  asFloats,
  classCount,
  combinedRows,
  emitRowStatistics,
  equals,
  hasAllClasses,
  labelSmoothing,
  LOGITS,
  logitRows,
  ownProbabilities,
  ROW_STATISTICS,
  smoothedLoss,
  targetRows,
} from './cross-entropy-rows.ts';
import type { Emitter, Value } from './emitter.ts';
import { int } from './emitter.ts';
import { requireTargets, targetRegion } from './loss-targets.ts';
import type { Dimension, OpDefinition, Part } from './op.ts';
import { numberAttribute, OpError } from './op.ts';
import { finite } from './reductions.ts';

/**
 * The loss -log softmax(logits)[target] of each row: logits [N, ..., classes], targets int64 [N, ...] -> loss [N, ...] and
 * correct [N, ...], 1 where the target has the largest logit (the first of equal ones, as argmax).
 *
 * Attributes: `scale` carries the mean over the job's losses into the gradient; `ignoreIndex` is a target that does not count
 * (its loss and gradient are 0); `labelSmoothing` takes that share of each target's weight and spreads it over all classes;
 * `start` makes axis 1 a piece of longer targets. Source: torch.nn.CrossEntropyLoss.
 *
 * Split along the classes, parts tell each other their statistics. Each adds to the loss what its own classes make of it:
 * the outputs of such parts are partial sums.
 */
export const crossEntropy: OpDefinition = {
  kind: 'crossEntropy',
  onnxTypes: [],
  fromOnnx() {
    throw new OpError('internal: a loss is attached by the job, not imported');
  },
  outputShapes([logits, targets], attributes) {
    // The loss of a single class is 0 whatever the model says.
    if (logits === undefined || logits.length < 2 || logits.at(-1)! < 2) {
      throw new OpError(
        `crossEntropy has logits of shape [${logits}]; expected [N, ..., classes], at least two of them: take another loss, such as meanSquaredError ` +
          'or binaryCrossEntropy, or give the model a result for each class',
      );
    }
    const rows = logits.slice(0, -1);
    requireTargets('crossEntropy', targets, rows, attributes);
    return [rows, rows];
  },
  dimensions({ inputs, outputs }): readonly Dimension[] {
    const axes = outputs[0]!.map((size, axis): Dimension => {
      if (axis === 0) return { name: 'sample', kind: 'sample', size, axis };
      return { name: axis === 1 ? 'sequence' : `axis${axis}`, kind: 'attribute', size, axis };
    });
    return [...axes, { name: 'class', kind: 'reduction', size: inputs[LOGITS]!.at(-1)!, axis: undefined }];
  },
  inputRegion({ attributes }, output, input, ranges): Region {
    return input === LOGITS ? [...output, ranges.at(-1)!] : targetRegion(attributes, output);
  },
  forwardFlops: (part) => 5 * regionVolume(part.inputs[LOGITS]!),
  backwardFlops: (part) => 3 * regionVolume(part.inputs[LOGITS]!),
  statistics: {
    over: ['class'],
    forwardSize: (part) => ROW_STATISTICS * regionVolume(part.output),
    backwardSize: () => 0,
    forward: emitRowStatistics,
    backward() {
      throw new OpError('internal: crossEntropy exchanges nothing in the backward pass');
    },
  },
  forward(emit, part) {
    const { logits, rows } = logitRows(emit, part);
    const { logTotal, bestClass } = combinedRows(emit, rows);
    const targets = targetRows(emit, part);
    // Of a row whose target is elsewhere, or does not count, it may be a logit that a mask hides: 0 times Infinity were NaN.
    const chosen = finite(emit, emit.node('GatherElements', [logits, targets.index], [rows, 1], { axis: int(1) }));
    const distance = emit.node('Sub', [logTotal, emit.reshape(chosen, [rows])], [rows]);
    const own = emit.node('Mul', [targets.weight, distance], [rows]);
    const hit = asFloats(emit, equals(emit, targets.row, bestClass));
    const shape = regionShape(part.output);
    emit.setOutput(0, emit.reshape(smoothedLoss(emit, part, own, { logits, logTotal, targets }), shape));
    emit.setOutput(1, emit.reshape(emit.node('Mul', [targets.weight, hit], [rows]), shape));
    if (hasAllClasses(part)) {
      emit.save(0, ownProbabilities(emit, logits));
      return;
    }
    const scale = Math.log(numberAttribute(part.signature.attributes, 'scale'));
    emit.save(0, emit.node('Sub', [logTotal, emit.scalar(scale)], [rows]));
  },
  backward(emit, part) {
    const { attributes } = part.signature;
    const rows = regionVolume(part.output);
    const targets = targetRows(emit, part);
    const { index, weight, counted } = targets;
    const scale = numberAttribute(attributes, 'scale');
    const smoothing = labelSmoothing(attributes);
    let gradient = scaledProbabilities(emit, part, targets);
    if (smoothing !== 0) {
      let share = emit.scalar((scale * smoothing) / classCount(part));
      if (counted !== undefined) share = emit.reshape(emit.node('Mul', [counted.weight, share], [rows]), [rows, 1]);
      gradient = emit.node('Sub', [gradient, share], gradient.shape);
    }
    const pull = emit.node('Mul', [weight, emit.scalar(-scale * (1 - smoothing))], [rows]);
    gradient = emit.node('ScatterElements', [gradient, index, emit.reshape(pull, [rows, 1])], gradient.shape, {
      axis: int(1),
      reduction: { type: 'string', value: 'add' },
    });
    emit.setGradInput(LOGITS, emit.reshape(gradient, regionShape(part.inputs[LOGITS]!)));
  },
};

/** Softmax over all classes times the scale, 0 in rows that do not count: [rows, own classes]. */
function scaledProbabilities(emit: Emitter, part: Part, { counted }: TargetRows): Value {
  const rows = regionVolume(part.output);
  if (hasAllClasses(part)) {
    let factor = emit.scalar(numberAttribute(part.signature.attributes, 'scale'));
    if (counted !== undefined) factor = emit.reshape(emit.node('Mul', [counted.weight, factor], [rows]), [rows, 1]);
    const probabilities = emit.saved(0);
    return emit.node('Mul', [probabilities, factor], probabilities.shape);
  }
  const { logits } = logitRows(emit, part);
  // exp(logit - log total + log scale); of a row that does not count, exp(-Infinity).
  let shift = emit.saved(0);
  if (counted !== undefined)
    shift = emit.node('Where', [counted.ignored, emit.scalar(Infinity), shift], [rows], {}, { dtype: 'float32' });
  const exponent = emit.node('Sub', [logits, emit.reshape(shift, [rows, 1])], logits.shape);
  return emit.node('Exp', [exponent], logits.shape);
}
