import type { V1Pod } from '@kubernetes/client-node';
import test from 'ava';
import { mergeTemplate } from '../../operator/decide/template.ts';

const POD: V1Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'job-0-0', namespace: 'default', labels: { 'soapstone.dev/job': 'job' }, annotations: {} },
  spec: {
    restartPolicy: 'Never',
    nodeSelector: { 'kubernetes.io/hostname': 'a' },
    tolerations: [{ key: 'gpu' }],
    containers: [
      {
        name: 'worker',
        image: 'soapstone',
        env: [{ name: 'SOAPSTONE_NODE', value: 'a' }],
        resources: { limits: { 'nvidia.com/gpu': '1' } },
        volumeMounts: [{ name: 'plan', mountPath: '/plan' }],
      },
    ],
    volumes: [{ name: 'plan', configMap: { name: 'job-plan' } }],
  },
};

test('containers, variables and volumes are merged by name, objects by field, tolerations added', (t) => {
  const { metadata, spec } = mergeTemplate(POD, {
    metadata: { labels: { team: 'vision' }, annotations: { note: 'x' } },
    spec: {
      priorityClassName: 'high',
      schedulerName: 'volcano',
      nodeSelector: { pool: 'gpu' },
      tolerations: [{ key: 'spot' }],
      containers: [
        { name: 'worker', image: 'mine', env: [{ name: 'A', value: '1' }], resources: { limits: { memory: '1Gi' } } },
        { name: 'sidecar', image: 'log' },
      ],
      volumes: [{ name: 'cache', emptyDir: {} }],
    },
  });
  t.deepEqual(metadata?.labels, { team: 'vision', 'soapstone.dev/job': 'job' });
  t.deepEqual([spec?.priorityClassName, spec?.schedulerName], ['high', 'volcano']);
  t.deepEqual(spec?.nodeSelector, { 'kubernetes.io/hostname': 'a', pool: 'gpu' });
  t.deepEqual(
    spec?.tolerations?.map(({ key }) => key),
    ['gpu', 'spot'],
  );
  t.deepEqual(
    spec?.containers.map(({ name, image }) => [name, image]),
    [
      ['worker', 'mine'],
      ['sidecar', 'log'],
    ],
  );
  t.deepEqual(spec?.containers[0]?.resources?.limits, { 'nvidia.com/gpu': '1', memory: '1Gi' });
  t.deepEqual(
    spec?.containers[0]?.env?.map(({ name }) => name),
    ['SOAPSTONE_NODE', 'A'],
  );
  t.is(spec?.volumes?.length, 2);
});

test('what makes the pod belong to its job cannot be changed', (t) => {
  const merged = mergeTemplate(POD, {
    metadata: { name: 'other', labels: { 'soapstone.dev/job': 'victim' }, ownerReferences: [{ uid: 'x' }] },
    spec: {
      restartPolicy: 'Always',
      hostname: 'victim-0-0',
      nodeSelector: { 'kubernetes.io/hostname': 'b' },
      containers: [{ name: 'worker', env: [{ name: 'SOAPSTONE_NODE', value: 'b' }] }],
      volumes: [{ name: 'plan', configMap: { name: 'victim-plan' } }],
    },
  });
  t.deepEqual(merged, POD);
});

test('a template that is no template leaves the pod as it is', (t) => {
  for (const template of [{}, { spec: 3 }, { metadata: [], spec: null }, { spec: { containers: null } }, { bogus: {} }])
    t.deepEqual(mergeTemplate(POD, template).metadata, POD.metadata, JSON.stringify(template));
});
