import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeConfig } from '@kubernetes/client-node';
import { CoreV1Api, KubeConfig as Config, PatchStrategy, setHeaderOptions } from '@kubernetes/client-node';
import { startControllerProcess } from './controller-process.ts';
import type { ProxyFault } from './faulty-proxy.ts';
import { FaultyProxy } from './faulty-proxy.ts';
import { createJob, createNode, forEachIndex, secondsUntilStatus } from './world.ts';

/** A real API server. */
export interface Server {
  readonly kubeConfig: KubeConfig;
  readonly kubeconfigPath: string;
}

/** A line of the table. */
export interface Row {
  readonly case: string;
  readonly result: string;
}

const PORT = 18_080;
const RECONCILES = 'controller_runtime_reconcile_total{controller="trainingjob",result="success"}';
const LIMIT_SECONDS = 120;

/** CPU of a controller that watches so many nodes, of which 20 a second get a label that does not matter. */
export async function manyNodes({ kubeConfig, kubeconfigPath }: Server, nodes: number, seconds: number): Promise<Row> {
  await forEachIndex(nodes, (i) => createNode(kubeConfig, `node-${i}`));
  await createJob(kubeConfig, 'waits');
  const controller = await startControllerProcess(kubeconfigPath, PORT);
  try {
    await secondsUntilStatus(kubeConfig, 'waits', LIMIT_SECONDS);
    await sleep(3000);
    const core = kubeConfig.makeApiClient(CoreV1Api);
    const before = { cpu: await controller.cpuSeconds(), visits: await controller.metric('workqueue_adds_total') };
    const startMs = performance.now();
    for (let update = 0; update < 20 * seconds; update++) {
      await sleep(Math.max(0, startMs + 50 * update - performance.now()));
      const body = { metadata: { labels: { 'nvidia.com/gfd.timestamp': String(update) } } };
      await core.patchNode(
        { name: `node-${update % nodes}`, body },
        setHeaderOptions('Content-Type', PatchStrategy.StrategicMergePatch),
      );
    }
    const lasted = (performance.now() - startMs) / 1000;
    const cpu = (100 * ((await controller.cpuSeconds()) - before.cpu)) / lasted;
    const visits = (await controller.metric('workqueue_adds_total')) - before.visits;
    const perSecond = ((20 * seconds) / lasted).toFixed(1);
    const megabytes = ((await controller.residentBytes()) / 1e6).toFixed(0);
    return {
      case: `${nodes} nodes, ${perSecond} updates/s for ${lasted.toFixed(0)} s`,
      result: `${cpu.toFixed(1)} % of a core, ${visits} visits (the job polls each 15 s), ${megabytes} MB`,
    };
  } finally {
    await controller.kill('SIGKILL');
  }
}

/** How long after the end of each fault a job that was created meanwhile has its status. */
export async function faults(server: Server, folder: string, faultSeconds: number): Promise<Row[]> {
  const proxy = new FaultyProxy(server.kubeConfig.getCurrentCluster()?.server ?? '');
  await proxy.start();
  const path = join(folder, 'proxied.json');
  await writeFile(path, proxied(server.kubeConfig, proxy.url));
  const controller = await startControllerProcess(path, PORT);
  const rows: Row[] = [];
  try {
    const kinds: ProxyFault[] = ['429', '500', '410', 'reset', 'hang', 'stopped'];
    for (const fault of kinds) {
      await proxy.set(fault);
      await createJob(server.kubeConfig, `during-${fault}`);
      await sleep(1000 * faultSeconds);
      await proxy.set('none');
      const seconds = await secondsUntilStatus(server.kubeConfig, `during-${fault}`, LIMIT_SECONDS);
      rows.push({
        case: `API server ${fault} for ${faultSeconds} s`,
        result: `${seconds.toFixed(1)} s after its return, same process`,
      });
    }
    return rows;
  } finally {
    await controller.kill('SIGKILL');
    await proxy.stop();
  }
}

function proxied(config: KubeConfig, server: string): string {
  const copy = new Config();
  copy.loadFromClusterAndUser(
    { name: 'proxied', server, skipTLSVerify: true },
    { name: 'admin', ...config.getCurrentUser() },
  );
  return copy.exportConfig();
}

/** How long two controllers need after the one that leads has ended, killed or asked to. */
export async function twoControllers({ kubeConfig, kubeconfigPath }: Server): Promise<Row[]> {
  let [first, second] = [
    await startControllerProcess(kubeconfigPath, PORT),
    await startControllerProcess(kubeconfigPath, PORT + 1),
  ];
  const rows: Row[] = [];
  try {
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const leads = (each: typeof first): Promise<number> => each.metric('leader_election_master_status');
      while ((await leads(first)) + (await leads(second)) !== 1) await sleep(100);
      if ((await leads(second)) === 1) [first, second] = [second, first];
      await first.kill(signal);
      const name = `after-${signal.toLowerCase()}`;
      await createJob(kubeConfig, name);
      const seconds = await secondsUntilStatus(kubeConfig, name, LIMIT_SECONDS);
      rows.push({
        case: `two controllers, the leader gets ${signal}`,
        result: `the other acts after ${seconds.toFixed(1)} s`,
      });
      first = await startControllerProcess(kubeconfigPath, PORT + (signal === 'SIGKILL' ? 2 : 3));
    }
    return rows;
  } finally {
    await Promise.all([first.kill('SIGKILL'), second.kill('SIGKILL')]);
  }
}

/** So many jobs at once: how long until each has its status, and what visits took. */
export async function manyJobs({ kubeConfig, kubeconfigPath }: Server, jobs: number): Promise<Row> {
  const controller = await startControllerProcess(kubeconfigPath, PORT);
  try {
    const startMs = performance.now();
    await forEachIndex(jobs, (i) => createJob(kubeConfig, `many-${i}`));
    await forEachIndex(jobs, (i) => secondsUntilStatus(kubeConfig, `many-${i}`, LIMIT_SECONDS));
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    const megabytes = ((await controller.residentBytes()) / 1e6).toFixed(0);
    const p99 = await quantile(controller.metrics(), 'controller_runtime_reconcile_time_seconds', 0.99);
    const visits = await controller.metric(RECONCILES);
    return {
      case: `${jobs} TrainingJobs at once, without devices`,
      result: `every status after ${seconds} s, p99 of a visit at most ${p99} s, ${megabytes} MB, ${visits} visits that ask for nothing`,
    };
  } finally {
    await controller.kill('SIGKILL');
  }
}

/** The bucket that a quantile of a histogram is in. */
async function quantile(text: Promise<string>, name: string, part: number): Promise<string> {
  const buckets = [...(await text).matchAll(new RegExp(`^${name}_bucket\\{le="([^"]+)".*\\} (\\d+)$`, 'gm'))];
  const all = Number(buckets.at(-1)?.[2]);
  return buckets.find(([, , count]) => Number(count) >= part * all)?.[1] ?? '?';
}
