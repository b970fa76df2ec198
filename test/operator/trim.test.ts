import type { V1Node, V1Pod } from '@kubernetes/client-node';
import test from 'ava';
import { nodeFingerprint } from '../../operator/discovery/node-change.ts';
import { discoverCluster } from '../../operator/discovery/discover.ts';
import { trimmedNode, trimmedPod } from '../../operator/watch/trim.ts';
import { gpuNode, podOn } from '../support/kubernetes.ts';

const MANAGED = { managedFields: [{ manager: 'kubelet' }], annotations: { 'example.com/note': 'long' } };
const IMAGES = Array.from({ length: 50 }, (_, i) => ({ names: [`registry.example.com/image-${i}`], sizeBytes: i }));
const SETTINGS = { resource: 'nvidia.com/gpu', min: 1, max: 16, nodeSelector: {}, tolerations: [] };

/** A node as a kubelet writes it. */
function wholeNode(name: string): V1Node {
  const { metadata, spec, status } = gpuNode(
    name,
    4,
    { 'topology.kubernetes.io/zone': 'z' },
    { podCIDR: '10.0.0.0/24' },
  );
  const taints = [{ key: 'soft', effect: 'PreferNoSchedule' }];
  return {
    metadata: { ...metadata, ...MANAGED, uid: name, resourceVersion: '7' },
    spec: { ...spec, taints },
    status: { ...status, images: IMAGES, addresses: [{ type: 'InternalIP', address: '10.0.0.1' }] },
  };
}

function wholePod(node: string, labels: Record<string, string>): V1Pod {
  const { metadata, spec, status } = podOn(node, 2, 'Running');
  const containers = (spec?.containers ?? []).map((container) => ({
    ...container,
    image: 'soapstone:0.1.0',
    env: [{ name: 'A', value: 'b' }],
  }));
  return {
    metadata: { ...metadata, ...MANAGED, labels, uid: 'u', resourceVersion: '9' },
    spec: { ...spec, containers, initContainers: containers, volumes: [{ name: 'v', emptyDir: {} }] },
    status: { ...status, podIP: '10.0.0.9' },
  };
}

test('discovery finds the same in what is kept of nodes and pods as in the whole of them', (t) => {
  const names = ['a', 'b', 'c'];
  const nodes = names.map(wholeNode);
  const pods = names.slice(1).map((name) => wholePod(name, {}));
  const found = discoverCluster(nodes, pods, SETTINGS, () => false);
  t.is(found.cluster.devices.length, 8);
  const prints = nodes.map((node) => nodeFingerprint(node, new Set()));
  const kept = nodes.map((node) => trimmedNode(structuredClone(node)));
  t.deepEqual(
    discoverCluster(
      kept,
      pods.map((pod) => trimmedPod(structuredClone(pod))),
      SETTINGS,
      () => false,
    ),
    found,
  );
  t.deepEqual(
    kept.map((node) => nodeFingerprint(node, new Set())),
    prints,
  );
});

test('of a node no images and annotations are kept, of pods no environment and volumes, of a pod of ours its labels and status', (t) => {
  const node = JSON.stringify(trimmedNode(wholeNode('a')));
  const other = JSON.stringify(trimmedPod(wholePod('a', {})));
  const own = JSON.stringify(trimmedPod(wholePod('a', { 'soapstone.dev/job': 'job' })));
  for (const text of [node, other, own]) t.false(text.includes('managedFields'));
  t.false(/images|annotations|addresses/.test(node));
  t.false(/env|volumes|podIP|labels|annotations|soapstone/.test(other));
  t.false(/env|volumes|annotations/.test(own));
  for (const part of ['podIP', 'labels', 'nodeName', 'nvidia.com/gpu', 'soapstone:0.1.0'])
    t.true(own.includes(part), part);
  t.like(trimmedPod(wholePod('a', {})).metadata, {
    name: 'pod-on-a',
    namespace: 'default',
    uid: 'u',
    resourceVersion: '9',
  });
});
