import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KubeConfig } from '@kubernetes/client-node';
import { BenchApi } from './api.ts';
import { startControllerProcess } from './controller-process.ts';
import type { ProxyFault } from './faulty-proxy.ts';
import { FaultyProxy } from './faulty-proxy.ts';
import type { Row, Server } from './row.ts';
import { createJob, secondsUntilStatus } from './world.ts';

/** Every way in which the server fails. */
export const FAULTS: readonly ProxyFault[] = ['429', '500', '410', 'reset', 'hang', 'stopped'];
const LIMIT_SECONDS = 120;

/** How long after the end of each fault a job that was created meanwhile has its status. */
export async function faults(server: Server, folder: string, faultSeconds: number): Promise<Row[]> {
  const proxy = new FaultyProxy(server.kubeConfig.getCurrentCluster()?.server ?? '');
  await proxy.start();
  const path = join(folder, 'proxied.json');
  await writeFile(path, proxied(server.kubeConfig, proxy.url));
  const api = new BenchApi(server.kubeConfig);
  const controller = await startControllerProcess(path);
  const rows: Row[] = [];
  try {
    for (const fault of FAULTS) {
      await proxy.set(fault);
      await createJob(api, `during-${fault}`);
      await sleep(1000 * faultSeconds);
      await proxy.set('none');
      const seconds = await secondsUntilStatus(api, `during-${fault}`, LIMIT_SECONDS);
      rows.push({
        case: `API server ${fault} for ${faultSeconds} s`,
        result: `${seconds.toFixed(1)} s after its return, same process`,
        measured: { seconds },
      });
    }
    return rows;
  } finally {
    await controller.kill('SIGKILL');
    await proxy.stop();
    api.close();
  }
}

/** A kubeconfig whose server is the proxy. */
export function proxied(config: KubeConfig, server: string): string {
  const copy = new KubeConfig();
  copy.loadFromClusterAndUser(
    { name: 'proxied', server, skipTLSVerify: true },
    { name: 'admin', ...config.getCurrentUser() },
  );
  return copy.exportConfig();
}
