import type { Shape } from '../graph/graph.ts';
import type { Interval } from '../region/region.ts';
import { regionVolume } from '../region/region.ts';
import type { Normalization } from './moments.ts';
import { momentStatistics, normalize, normalizeBackward } from './moments.ts';
import type { OpDefinition } from './op.ts';
import { OpError } from './op.ts';
import { MAX_SPATIAL } from './spatial.ts';

/** What normalizations of x [N, C, ...] with gamma and beta, each [C] or [C, 1, ...], have in common. */
export function normalizationMembers(
  normalization: Normalization,
): Pick<OpDefinition, 'inputRegion' | 'forwardFlops' | 'backwardFlops' | 'forward' | 'backward' | 'statistics'> {
  return {
    // x where y is written; gamma and beta of its channels.
    inputRegion: ({ inputs }, output, input) =>
      input === 0 ? output : inputs[input]!.map((_, axis): Interval => (axis === 0 ? output[1]! : [0, 1])),
    // A mean, a sum of squares around it, and the affine map: 1 + 3 + 2 operations per element.
    forwardFlops: (part) => 6 * regionVolume(part.output),
    // Sums of dy and of dy times the centered input, and the affine map of both: 1 + 3 + 4.
    backwardFlops: (part) => 8 * regionVolume(part.output),
    forward: (emit, part) => normalize(normalization, emit, part),
    backward: (emit, part) => normalizeBackward(normalization, emit, part),
    statistics: momentStatistics(normalization),
  };
}

/** @throws {OpError} unless x is [N, C, ...] and gamma and beta are [C] or [C, 1, ...] */
export function normalizedShape(opType: string, [x, gamma, beta]: readonly Shape[], leastRank: number): Shape {
  if (x === undefined || x.length < leastRank || x.length > 2 + MAX_SPATIAL) {
    throw new OpError(
      `${opType} has an input of shape [${x}]; expected [N, C, ...] of rank ${leastRank} to ${2 + MAX_SPATIAL}`,
    );
  }
  for (const vector of [gamma, beta]) {
    const [channels, ...rest] = vector ?? [];
    if (channels !== x[1] || rest.some((extent) => extent !== 1)) {
      throw new OpError(`${opType} has a scale or bias of shape [${vector}]; its input has ${x[1]} channels`);
    }
  }
  return x;
}
