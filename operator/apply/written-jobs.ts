import type { TrainingJobResource } from '../api/resource.ts';

/**
 * Jobs as this process wrote them last. A cache that lags behind would show the status before: a decision from it could repeat
 * what was done, such as starting the pods of an attempt that is over.
 */
export class WrittenJobs {
  readonly #jobs = new Map<string, TrainingJobResource>();

  add(key: string, resource: TrainingJobResource): void {
    this.#jobs.set(key, resource);
  }

  /** The job as written, or as the cache has it once that has caught up. */
  newest(key: string, cached: TrainingJobResource): TrainingJobResource {
    const written = this.#jobs.get(key);
    if (written === undefined) return cached;
    if (written.metadata.uid === cached.metadata.uid && isOlder(cached, written)) return written;
    this.#jobs.delete(key);
    return cached;
  }

  forget(key: string): void {
    this.#jobs.delete(key);
  }
}

/** Versions of one object are numbers that grow. Source: Kubernetes API concepts, "Resource versions", comparable since 1.35. */
function isOlder(a: TrainingJobResource, b: TrainingJobResource): boolean {
  return BigInt(a.metadata.resourceVersion ?? 0) < BigInt(b.metadata.resourceVersion ?? 0);
}
