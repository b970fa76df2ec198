import type { V1Pod } from '@kubernetes/client-node';
import type { Child } from './types.ts';

/** Source: distroless' nonroot; what the project's image runs as. */
const USER = 65532;

/** Gives a pod the user of the project's image, and a group that may write to its volumes, where its template names no others. */
export function withUser(pod: Child & V1Pod): Child & V1Pod {
  const { spec } = pod;
  if (spec === undefined) return pod;
  const securityContext = { runAsUser: USER, runAsGroup: USER, fsGroup: USER, ...spec.securityContext };
  return { ...pod, spec: { ...spec, securityContext } };
}
