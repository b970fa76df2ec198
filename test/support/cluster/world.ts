import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { V1Pod } from '@kubernetes/client-node';
import { CoreV1Api } from '@kubernetes/client-node';
import type { TrainingJobResource } from '../../../operator/api/resource.ts';
import type { ControllerConfig } from '../../../operator/settings.ts';
import { loadConfig } from '../../../operator/config.ts';
import { LENET_SPEC } from '../kubernetes.ts';
import type { ControlPlane } from './control-plane.ts';
import { startControlPlane } from './control-plane.ts';
import { NodeAgent } from './node-agent.ts';
import { createNode } from './nodes.ts';

const CRD = new URL('../../../crds/trainingjobs.yaml', import.meta.url).pathname;

/** How the process of a running pod ends: the pod's status, or undefined while it goes on. */
export type Play = (pod: V1Pod) => object | undefined;

/** An API server with nodes whose pods are played, not run: for tests of what happens to pods. */
export interface World {
  readonly plane: ControlPlane;
  readonly logs: string[];
  createNode(name: string, devices?: number, labels?: Readonly<Record<string, string>>): Promise<void>;
  read(name: string, namespace?: string): Promise<TrainingJobResource>;
  /** Applies a job with kubectl. @param flags of kubectl, further ones */
  apply(
    name: string,
    spec?: Readonly<Record<string, unknown>>,
    namespace?: string,
    flags?: readonly string[],
  ): Promise<void>;
  pods(): Promise<V1Pod[]>;
  until(what: string, check: () => Promise<boolean> | boolean, seconds?: number): Promise<void>;
  stop(): Promise<void>;
}

/** The controller's settings as they are by default, but that pods measure devices only where a test is about that. */
export function defaultConfig(): ControllerConfig {
  const loaded = loadConfig({ SOAPSTONE_PROFILE_PODS: 'false' });
  if ('help' in loaded) throw new Error('nobody asked for help');
  return loaded.config;
}

/**
 * Starts it, with the resource installed; no controller yet.
 * @param play of the pods; without it they are real processes
 * @param names of hosts that pods reach, by address, beside each other
 */
export async function startWorld(play?: Play, names: Readonly<Record<string, string>> = {}): Promise<World> {
  const plane = await startControlPlane();
  await plane.kubectl('apply', '-f', CRD);
  await plane.kubectl('wait', '--for=condition=Established', 'crd/trainingjobs.soapstone.dev', '--timeout=30s');
  const logs: string[] = [];
  const onLog = (line: string): void => void logs.push(line);
  const agent = new NodeAgent({ kubeConfig: plane.kubeConfig, onLog, names, ...(play && { play }) });
  agent.start();
  const core = plane.kubeConfig.makeApiClient(CoreV1Api);
  return {
    plane,
    logs,
    read: (name, namespace) => plane.readJob(name, namespace),
    createNode: (name, devices = 1, labels) => createNode(plane, name, devices, labels),
    apply: (name, spec, namespace, flags) => apply(plane, name, spec, namespace, flags),
    pods: async () => (await core.listPodForAllNamespaces()).items,
    async until(what, check, seconds = 180) {
      const deadline = performance.now() + 1000 * seconds;
      while (performance.now() < deadline) {
        if (await check()) return;
        await sleep(150);
      }
      const jobs = await plane.kubectl('get', 'tj', '-A', '-o', 'wide');
      throw new Error(`not within ${seconds} s: ${what}\n${logs.slice(-20).join('\n')}\n${jobs}`);
    },
    async stop() {
      await agent.stop();
      await plane.stop();
    },
  };
}

async function apply(
  plane: ControlPlane,
  name: string,
  spec: Readonly<Record<string, unknown>> = {},
  namespace: string = 'default',
  flags: readonly string[] = [],
): Promise<void> {
  const job = {
    apiVersion: 'soapstone.dev/v1alpha1',
    kind: 'TrainingJob',
    metadata: { name, namespace },
    spec: {
      ...LENET_SPEC,
      devices: { min: 1, max: 2 },
      search: { seconds: 60, proposals: 5 },
      ...spec,
    },
  };
  const folder = await mkdtemp(join(tmpdir(), 'soapstone-job-'));
  await writeFile(join(folder, 'job.json'), JSON.stringify(job));
  try {
    await plane.kubectl('apply', '-f', join(folder, 'job.json'), ...flags);
  } finally {
    await rm(folder, { recursive: true });
  }
}
