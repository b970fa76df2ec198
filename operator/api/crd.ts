import type { FieldSchema } from '../../soap/job/schema.ts';
import { trainingJobSpecSchema } from '../../soap/job/schema.ts';
import { describeStatus } from './status-descriptions.ts';

/** Names of the resource, used wherever the API is called. */
export const GROUP = 'soapstone.dev';
export const VERSION = 'v1alpha1';
export const PLURAL = 'trainingjobs';

/** The CustomResourceDefinition, from the schema that the parser uses too. */
export function crdManifest(): object {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${PLURAL}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        kind: 'TrainingJob',
        listKind: 'TrainingJobList',
        plural: PLURAL,
        singular: 'trainingjob',
        shortNames: ['tj'],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: [
            { name: 'State', type: 'string', jsonPath: '.status.state' },
            { name: 'Reason', type: 'string', jsonPath: '.status.reason' },
            { name: 'Devices', type: 'integer', jsonPath: '.status.devices' },
            { name: 'Iteration', type: 'string', jsonPath: '.status.iteration' },
            { name: 'Measured', type: 'string', jsonPath: '.status.measured.iteration' },
            { name: 'Progress', type: 'string', jsonPath: '.status.progress' },
            { name: 'Attempt', type: 'integer', jsonPath: '.status.attempt', priority: 1 },
            { name: 'Message', type: 'string', jsonPath: '.status.message', priority: 1 },
            { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
          ],
          schema: {
            openAPIV3Schema: {
              type: 'object',
              description: 'A model, its data, and how to train it; Soapstone finds how to split it over the devices.',
              required: ['spec'],
              properties: {
                apiVersion: { type: 'string' },
                kind: { type: 'string' },
                metadata: { type: 'object' },
                spec: structural(trainingJobSpecSchema),
                status: describeStatus(STATUS_SCHEMA),
              },
            },
          },
        },
      ],
    },
  };
}

const text = { type: 'string' };
const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

const STATUS_SCHEMA = {
  type: 'object',
  description: 'Written by the controller.',
  properties: {
    state: text,
    reason: text,
    message: text,
    startTime: { type: 'string', format: 'date-time' },
    restartTime: { type: 'string', format: 'date-time' },
    lastFailure: text,
    restarts: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          attempt: { type: 'integer' },
          time: { type: 'string', format: 'date-time' },
          reason: text,
          message: text,
          log: text,
        },
      },
    },
    failures: { type: 'object', additionalProperties: { type: 'integer' } },
    admitted: { type: 'object', additionalProperties: text },
    unplaced: { type: 'object', additionalProperties: text },
    attempt: { type: 'integer' },
    devices: { type: 'integer' },
    iteration: text,
    costs: {
      type: 'object',
      properties: {
        measured: text,
        interpolated: text,
        roofline: text,
        unmeasured: { type: 'object', additionalProperties: text },
      },
    },
    progress: text,
    fixed: { type: 'object', additionalProperties: text },
    measured: {
      type: 'object',
      properties: { iteration: text, step: { type: 'integer' }, steps: { type: 'integer' }, loss: text },
    },
    links: {
      type: 'array',
      items: { type: 'object', properties: { from: text, to: text, measured: text, planned: text } },
    },
    move: {
      type: 'object',
      properties: {
        moveTime: { type: 'string', format: 'date-time' },
        searchTime: { type: 'string', format: 'date-time' },
        rejected: text,
        afterCheckpoint: { type: 'integer' },
      },
    },
    observedGeneration: { type: 'integer' },
    topology: open,
    conditions: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
      items: {
        type: 'object',
        required: ['type', 'status', 'reason', 'message', 'lastTransitionTime'],
        properties: {
          type: text,
          status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
          reason: text,
          message: text,
          lastTransitionTime: { type: 'string', format: 'date-time' },
          observedGeneration: { type: 'integer' },
        },
      },
    },
  },
};

/** The field as Kubernetes takes it: free objects keep unknown fields. */
function structural(schema: FieldSchema): Record<string, unknown> {
  const { open: isOpen, properties, additionalProperties, items, example: _, ...rest } = schema;
  return {
    ...rest,
    ...(properties && {
      properties: Object.fromEntries(Object.entries(properties).map(([name, field]) => [name, structural(field)])),
    }),
    ...(items && { items: structural(items) }),
    ...(additionalProperties && { additionalProperties: structural(additionalProperties) }),
    ...(isOpen === true && { 'x-kubernetes-preserve-unknown-fields': true }),
  };
}
