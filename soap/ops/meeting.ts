import type { Value } from './emitter.ts';
import type { Window } from './window.ts';

/** What a convolution's weight [O, C / groups, ...kernel] meets: windows over x [N, C, ...], seen by places [N, O, ...]. */
export interface Meeting {
  readonly window: Window;
  /** Around x: [begin..., end...]. */
  readonly pads: readonly number[];
  readonly groups: number;
  readonly x: Value;
  readonly places: Value;
}
