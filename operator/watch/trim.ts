import type { KubernetesObject, V1Container, V1Node, V1Pod } from '@kubernetes/client-node';
import { JOB_LABEL } from '../decide/children.ts';

/** The server says of every field who wrote it, which is half of an object's size, and which nobody here reads. */
export function withoutManagers<T extends KubernetesObject>(object: T): T {
  if (object.metadata !== undefined) delete object.metadata.managedFields;
  return object;
}

/**
 * A node without what nobody here reads: its annotations, and of its status all but devices and conditions. The list of its images
 * alone is most of a node. Labels stay, since a job may select nodes by any of them.
 */
export function trimmedNode(node: V1Node): V1Node {
  const { metadata, status } = withoutManagers(node);
  if (metadata !== undefined) delete metadata.annotations;
  const { allocatable, conditions } = status ?? {};
  return { ...node, status: { ...(allocatable && { allocatable }), ...(conditions && { conditions }) } };
}

/**
 * A pod of ours without what its containers are given and mount; of any other only which devices of which node it holds, and whether it
 * still does.
 */
export function trimmedPod(pod: V1Pod): V1Pod {
  const { metadata, spec, status } = withoutManagers(pod);
  if (metadata?.labels?.[JOB_LABEL] !== undefined) return ownPod(pod);
  const { name, namespace, uid, resourceVersion } = metadata ?? {};
  const { nodeName, overhead } = spec ?? {};
  return {
    metadata: {
      ...(name !== undefined && { name }),
      ...(namespace !== undefined && { namespace }),
      ...(uid !== undefined && { uid }),
      ...(resourceVersion !== undefined && { resourceVersion }),
    },
    spec: { ...(nodeName !== undefined && { nodeName }), ...(overhead && { overhead }), ...containersOf(pod) },
    ...(status?.phase !== undefined && { status: { phase: status.phase } }),
  };
}

function ownPod(pod: V1Pod): V1Pod {
  const { metadata, spec } = pod;
  if (metadata !== undefined) delete metadata.annotations;
  if (spec === undefined) return pod;
  const { volumes: _volumes, containers, ...rest } = spec;
  const kept = containersOf(pod);
  const withImages = kept.containers.map((container, i) => {
    const image = containers[i]?.image;
    return { ...container, ...(image !== undefined && { image }) };
  });
  return { ...pod, spec: { ...rest, ...kept, containers: withImages } };
}

function containersOf({ spec }: V1Pod): { containers: V1Container[]; initContainers: V1Container[] } {
  const { containers = [], initContainers = [] } = spec ?? {};
  return { containers: containers.map(trimmedContainer), initContainers: initContainers.map(trimmedContainer) };
}

function trimmedContainer({ name, restartPolicy, resources }: V1Container): V1Container {
  return { name, ...(restartPolicy !== undefined && { restartPolicy }), ...(resources && { resources }) };
}
