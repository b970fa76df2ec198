import type { V1Node, V1Pod } from '@kubernetes/client-node';
import fc from 'fast-check';
import type { TrainingJobResource } from '../../operator/api/resource.ts';
import { decide } from '../../operator/decide/decide.ts';
import { KNOWN_LABELS } from '../../operator/discovery/labels.ts';
import type { Row } from './row.ts';

const text = fc.oneof(
  fc.string(),
  fc.constantFrom('', '0', '8', '-1', '1e999', '__proto__', 'none', 'NVIDIA-H100-80GB-HBM3'),
);

const node: fc.Arbitrary<V1Node> = fc.record({
  metadata: fc.record({ name: text, labels: fc.dictionary(fc.oneof(fc.constantFrom(...KNOWN_LABELS), text), text) }),
  spec: fc.record({ unschedulable: fc.boolean() }),
  status: fc.record({ allocatable: fc.dictionary(fc.constantFrom('nvidia.com/gpu', 'cpu'), text) }),
});

const pod: fc.Arbitrary<V1Pod> = fc.record({
  metadata: fc.record({ name: text, namespace: text }),
  spec: fc.record({ nodeName: text, containers: fc.constant([]) }),
  status: fc.record({ phase: fc.constantFrom('Pending', 'Running', 'Failed', 'Succeeded', 'Odd') }),
});

/** A value, or now and then anything. */
function mostly(value: object): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 8, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: fc.jsonValue() });
}

/** A job that may be valid, with any part of it replaced by anything. */
export const generatedSpec: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 1, arbitrary: fc.jsonValue() },
  {
    weight: 9,
    arbitrary: fc.record(
      {
        model: mostly({ builtin: { name: 'lenet' } }),
        dataset: mostly({ synthetic: { samples: 64 } }),
        training: mostly({
          batchSize: 16,
          steps: 5,
          loss: { name: 'crossEntropy' },
          optimizer: { name: 'sgd', learningRate: 0.1 },
        }),
        devices: fc.oneof(
          fc.record({ min: fc.integer(), max: fc.integer() }),
          fc.constant({ min: 1, max: 4 }),
          fc.jsonValue(),
        ),
        suspend: fc.oneof(fc.boolean(), fc.jsonValue()),
      },
      { requiredKeys: ['model', 'dataset', 'training', 'devices'] },
    ),
  },
);

/** Decides for so many generated jobs among generated nodes and pods; throws where one of them makes the controller throw. */
export function generatedObjects(count: number): Row {
  const states = new Map<string, number>();
  const property = fc.property(
    generatedSpec,
    fc.array(node, { maxLength: 5 }),
    fc.array(pod, { maxLength: 5 }),
    (each, nodes, pods) => {
      const resource: TrainingJobResource = {
        apiVersion: 'soapstone.dev/v1alpha1',
        kind: 'TrainingJob',
        metadata: { name: 'job', namespace: 'default', uid: 'u', generation: 1 },
        spec: each,
      };
      const observed = {
        resource,
        nodes,
        pods,
        plan: undefined,
        search: { kind: 'none' as const },
        applyError: undefined,
      };
      const { status } = decide(observed, {
        now: new Date(0),
        image: 'image',
        placementDeadlineMs: 300_000,
        scraperNamespace: 'monitoring',
        controllerNamespace: 'soapstone-system',
        modelPrivateAddresses: false,
        dnsPorts: [53],
        fixedUser: true,
        hostPathModels: false,
        inspectPods: true,
        profilePods: true,
        profileSeconds: 60,
      });
      states.set(status.state, (states.get(status.state) ?? 0) + 1);
    },
  );
  const startMs = performance.now();
  fc.assert(property, { numRuns: count, seed: 1 });
  const milliseconds = ((performance.now() - startMs) / count).toFixed(2);
  const seen = [...states].map(([state, times]) => `${state} ${times}`).join(', ');
  return {
    case: `${count} generated jobs among generated nodes and pods`,
    result: `none throws; ${milliseconds} ms each; ${seen}`,
    measured: { decisionMs: Number(milliseconds), states: states.size },
  };
}
