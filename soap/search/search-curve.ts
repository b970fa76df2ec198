import type { CurvePoint } from '../plan/plan.ts';
import type { SearchEnvironment } from './search.ts';

/** Points that a plan file keeps; of more, every other one is dropped. */
const MAX_POINTS = 256;

/** Watches the progress of a search, and remembers each improvement. */
export function recordCurve(environment: SearchEnvironment): { environment: SearchEnvironment; curve: CurvePoint[] } {
  const curve: CurvePoint[] = [];
  const onProgress: SearchEnvironment['onProgress'] = (progress) => {
    const { seconds, proposals, bestIterationMs } = progress;
    if (bestIterationMs !== undefined && bestIterationMs < (curve.at(-1)?.iterationMs ?? Infinity)) {
      if (curve.length === MAX_POINTS) halve(curve);
      curve.push({ seconds, proposals, iterationMs: bestIterationMs });
    }
    environment.onProgress?.(progress);
  };
  return { environment: { ...environment, onProgress }, curve };
}

/** Keeps the first and every other point. */
function halve(curve: CurvePoint[]): void {
  const kept = curve.filter((_, i) => i % 2 === 0);
  curve.splice(0, curve.length, ...kept);
}
