import type { V1Pod } from '@kubernetes/client-node';

type Json = Readonly<Record<string, unknown>>;

/**
 * Lists of a pod that are merged by a key, and the key. Source: `patchMergeKey` of the types in Kubernetes' core/v1. Every other
 * list is replaced as a whole.
 */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  env: 'name',
  volumes: 'name',
  volumeMounts: 'mountPath',
  ports: 'containerPort',
  imagePullSecrets: 'name',
  hostAliases: 'ip',
  topologySpreadConstraints: 'topologyKey',
};

/** Lists whose entries come to those that are there already. */
const APPENDED: ReadonlySet<string> = new Set(['tolerations']);

/** What makes the pod the job's, by path; `*` stands for the entries of a list. A template cannot change it. */
const OWN_FIELDS: readonly (readonly string[])[] = [
  ['metadata', 'name'],
  ['metadata', 'namespace'],
  ['metadata', 'ownerReferences'],
  ['spec', 'hostname'],
  ['spec', 'subdomain'],
  ['spec', 'restartPolicy'],
  ['spec', 'schedulingGates'],
];

/**
 * Merges the parts of a pod template into a pod, as a strategic merge patch would: objects field by field, lists of named things
 * by name. What makes the pod belong to its job (names, owner, restart policy, the node and the labels of the project, its
 * variables and volumes) wins over the template.
 */
export function mergeTemplate(pod: V1Pod, template: Json): V1Pod {
  const asJson: unknown = JSON.parse(JSON.stringify(pod));
  if (!isObject(asJson)) return pod;
  const { metadata = {}, spec = {} } = template;
  const { labels = {}, annotations = {} } = isObject(metadata) ? metadata : {};
  const merged = mergeObjects(asJson, { metadata: { labels, annotations }, spec });
  const kept = OWN_FIELDS.reduce((result, path) => restore(result, asJson, path), merged);
  return { ...pod, ...mergeObjects(kept, ownEntries(asJson)) };
}

/** The parts of a template that say where and as whom a pod runs; its containers and volumes are for training. */
export function podParts(template: Json): Json {
  const {
    containers: _,
    initContainers: __,
    volumes: ___,
    ...rest
  }: Record<string, unknown> = Object(template['spec']);
  return rest;
}

/** What a template says of the runtime's container; empty where it says nothing. */
export function workerContainer(template: Json): Json {
  const { containers }: { containers?: unknown } = Object(template['spec']);
  const worker: unknown = Array.isArray(containers)
    ? containers.find((each: unknown) => isObject(each) && each['name'] === 'worker')
    : undefined;
  return isObject(worker) ? worker : {};
}

/** The image of the runtime's container, which may be the only one that can be pulled: what a template names, or else the given one. */
export function workerImage(template: Json | undefined, image: string): string {
  const { image: named } = workerContainer(template ?? {});
  return typeof named === 'string' ? named : image;
}

function mergeObjects(base: Json, patch: Json): Json {
  const result: Record<string, unknown> = { ...base };
  for (const [field, value] of Object.entries(patch)) {
    const old = result[field];
    if (value === null) delete result[field];
    else if (isObject(old) && isObject(value)) result[field] = mergeObjects(old, value);
    else if (Array.isArray(old) && Array.isArray(value)) result[field] = mergeLists(field, old, value);
    else result[field] = value;
  }
  return result;
}

function mergeLists(field: string, base: readonly unknown[], patch: readonly unknown[]): readonly unknown[] {
  if (APPENDED.has(field)) return [...base, ...patch];
  const key = MERGE_KEYS[field];
  if (key === undefined) return patch;
  const result = [...base];
  for (const entry of patch) {
    const index = result.findIndex((old) => isObject(old) && isObject(entry) && old[key] === entry[key]);
    const old = result[index];
    if (isObject(old) && isObject(entry)) result[index] = mergeObjects(old, entry);
    else result.push(entry);
  }
  return result;
}

/** Puts a field back to what it was. */
function restore(changed: Json, original: Json, [field = '', ...rest]: readonly string[]): Json {
  const value = original[field];
  const now = changed[field];
  if (rest.length > 0)
    return { ...changed, [field]: restore(isObject(now) ? now : {}, isObject(value) ? value : {}, rest) };
  const others = Object.fromEntries(Object.entries(changed).filter(([name]) => name !== field));
  return value === undefined ? others : { ...others, [field]: value };
}

/** Entries of the merged lists and maps that are the project's own; merged once more, they win. */
function ownEntries({ metadata, spec }: Json): Json {
  const labels = isObject(metadata) ? metadata['labels'] : undefined;
  const { nodeSelector, volumes, containers } = isObject(spec) ? spec : {};
  const own = (Array.isArray(containers) ? containers : []).filter(isObject).map(({ name, env, volumeMounts }) => ({
    name,
    env,
    volumeMounts,
  }));
  return { metadata: { labels }, spec: { nodeSelector, volumes, containers: own } };
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
