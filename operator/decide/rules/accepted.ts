import { unknownFields } from '../../../soap/job/parse.ts';
import { problemLines } from '../../../soap/schema/problems.ts';
import type { Problem } from '../../../soap/schema/problems.ts';
import type { Visit } from '../visit.ts';
import { find } from '../visit.ts';

/** Where `kubectl apply` keeps what it was given. Source: Kubernetes documentation, "Well-Known Labels, Annotations and Taints". */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/**
 * Accepts a spec that is valid, and tells of fields of which nothing is left in it: the API server takes out what the resource does not
 * have, silently where it or kubectl is older than field validation (Kubernetes 1.27) or that is off.
 */
export function accept(visit: Visit): void {
  const dropped = droppedFields(visit);
  if (dropped.length === 0) find(visit, 'Accepted', 'True', 'Valid', 'the spec is valid');
  else {
    const message = `the spec is valid, without what the API server took out of it: ${problemLines(dropped).join('; ')}`;
    find(visit, 'Accepted', 'True', 'UnknownFields', message);
  }
}

function droppedFields({ observed }: Visit): Problem[] {
  const applied = observed.resource.metadata.annotations?.[LAST_APPLIED];
  if (applied === undefined) return [];
  try {
    return unknownFields(JSON.parse(applied)).filter(({ path }) => path.startsWith('spec.'));
  } catch {
    // Anybody may write an annotation.
    return [];
  }
}
