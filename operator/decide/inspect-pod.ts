import type { V1Pod } from '@kubernetes/client-node';
import type { InspectionOrder } from '../../soap/job/handoff.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { microBatchSize } from '../../soap/job/training-job.ts';
import type { TrainingJobResource } from '../api/resource.ts';
import { childMetadata, childNames, INSPECT_LABEL } from './children.ts';
import { inspectResources } from './inspect-resources.ts';
import type { Child } from './types.ts';
import { CONTAINER_SECURITY, MOUNTS, POD_SECURITY } from './pods.ts';
import { queueLabels } from './queue.ts';
import { mergeTemplate, podParts, workerImage } from './template.ts';

/** Longest time that reading a model may take, from the pod's start. */
export const INSPECTION_SECONDS = 600;

/** What a job has in storage that a plan needs; undefined where that is nothing. */
export function inspectionOrder({ spec: { model, plan, training } }: TrainingJob): InspectionOrder | undefined {
  if (!('onnx' in model) && plan === undefined) return undefined;
  return {
    ...('onnx' in model && { onnx: model.onnx }),
    ...('onnx' in model && model.unrollSteps !== undefined && { unrollSteps: model.unrollSteps }),
    ...(plan !== undefined && { plan }),
    batch: microBatchSize(training),
  };
}

/**
 * A pod that reads a job's model from storage and writes its graph to its log. It may run on any node that the job's own pods may run
 * on, has no device, no token and no way to write to storage, and does not outlive its time.
 */
export function inspectPod(
  resource: TrainingJobResource,
  job: TrainingJob,
  order: InspectionOrder,
  image: string,
): Child {
  const { generation = 0 } = resource.metadata;
  const name = childNames.inspectPod(job.metadata.name, generation);
  const common = childMetadata(resource, name);
  const template = job.spec.template ?? {};
  const base: V1Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...common,
      labels: { ...queueLabels(resource), ...common.labels, [INSPECT_LABEL]: String(generation) },
    },
    spec: {
      restartPolicy: 'Never',
      activeDeadlineSeconds: INSPECTION_SECONDS,
      nodeSelector: { ...job.spec.devices.nodeSelector },
      tolerations: job.spec.devices.tolerations.map((toleration) => ({ ...toleration })),
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: POD_SECURITY,
      containers: [
        {
          name: 'inspect',
          image: workerImage(template, image),
          command: ['soapstone', 'inspect'],
          env: [
            { name: 'SOAPSTONE_STORAGE', value: `${MOUNTS}/storage` },
            { name: 'SOAPSTONE_INSPECT', value: JSON.stringify(order) },
          ],
          resources: inspectResources(template),
          securityContext: CONTAINER_SECURITY,
          // What it says last tells why it failed, without a right to read its log.
          terminationMessagePolicy: 'FallbackToLogsOnError',
          volumeMounts: [{ name: 'storage', mountPath: `${MOUNTS}/storage`, readOnly: true }],
        },
      ],
      volumes: [{ name: 'storage', ...job.spec.storage }],
    },
  };
  const merged = mergeTemplate(base, { ...template, spec: podParts(template) });
  return { ...merged, metadata: { ...merged.metadata, name, namespace: common.namespace } };
}
