import { chmod, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { Controller } from '../../../operator/controller.ts';
import { startController } from '../../../operator/controller.ts';
import type { ControlPlane } from './control-plane.ts';
import { helm, kubernetesBinaries, startControlPlane } from './control-plane.ts';
import { NodeAgent } from './node-agent.ts';
import { createNode, P100_LABELS } from './nodes.ts';
import { claimPodNetwork } from './pod-network.ts';
import { defaultConfig } from './world.ts';

const CHECKOUT = new URL('../../..', import.meta.url).pathname;
const NODES = ['gpu-a', 'gpu-b'];

/** A cluster as a user sees it: the chart installed, two nodes with a GPU each, pods that train, whose logs and metrics can be read. */
export interface LiveCluster {
  readonly plane: ControlPlane;
  readonly agent: NodeAgent;
  /** What controller and pods said. */
  readonly logs: readonly string[];
  /** Environment in which kubectl, its plugin and helm work for the cluster. */
  readonly env: NodeJS.ProcessEnv;
  /** Folders with these programs. */
  readonly path: readonly string[];
  stop(): Promise<void>;
}

/** Starts it; nothing of it outlives `stop`. */
export async function startLiveCluster(): Promise<LiveCluster> {
  const binaries = await kubernetesBinaries();
  const network = await claimPodNetwork();
  const plane = await startControlPlane();
  const programs = await mkdtemp(join(tmpdir(), 'soapstone-programs-'));
  const logs: string[] = [];
  const agent = new NodeAgent({
    kubeConfig: plane.kubeConfig,
    onLog: (line) => logs.push(line),
    addresses: network.prefix,
  });
  let controller: Controller | undefined;
  const stop = async (): Promise<void> => {
    await controller?.stop();
    await agent.stop();
    await plane.stop();
    await network.release();
    await rm(programs, { recursive: true });
  };
  try {
    for (const name of NODES) await createNode(plane, name, 1, P100_LABELS);
    await writePrograms(programs, binaries);
    const chart = ['--namespace', 'soapstone-system', '--create-namespace', '--kubeconfig', plane.kubeconfigPath];
    await helm('install', 'soapstone', join(CHECKOUT, 'charts/soapstone'), ...chart);
    await plane.kubectl('wait', '--for=condition=Established', 'crd/trainingjobs.soapstone.dev', '--timeout=30s');
    agent.start();
    const config = { ...defaultConfig(), metricsHost: '127.0.0.1', metricsPort: 0, image: 'soapstone:test' };
    controller = await startController(plane.kubeConfig, config, (line) => logs.push(JSON.stringify(line)));
  } catch (error) {
    await stop();
    throw error;
  }
  const env = { KUBECONFIG: plane.kubeconfigPath };
  return { plane, agent, logs, env, path: [programs, binaries], stop };
}

/** `helm` that takes what is installed already for installed, and the plugin of kubectl. */
async function writePrograms(folder: string, binaries: string): Promise<void> {
  const install = `[ "$1" = install ] && { shift; set -- upgrade --install "$@"; }; exec '${binaries}/helm' "$@"`;
  await writeFile(join(folder, 'helm'), `#!/bin/sh\n${install}\n`);
  await chmod(join(folder, 'helm'), 0o755);
  for (const name of ['kubectl-soapstone', 'kubectl_complete-soapstone'])
    await symlink(join(CHECKOUT, `cli/bin/${name}.js`), join(folder, name));
  await symlink(process.execPath, join(folder, 'node'));
}
