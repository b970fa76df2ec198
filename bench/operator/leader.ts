import { setTimeout as sleep } from 'node:timers/promises';
import { BenchApi } from './api.ts';
import { startControllerProcess } from './controller-process.ts';
import type { Row, Server } from './row.ts';
import { createJob, secondsUntilStatus } from './world.ts';

const LIMIT_SECONDS = 120;

/** How long two controllers need after the one that leads has ended, killed or asked to. */
export async function twoControllers({ kubeConfig, kubeconfigPath }: Server): Promise<Row[]> {
  const api = new BenchApi(kubeConfig);
  let [first, second] = [await startControllerProcess(kubeconfigPath), await startControllerProcess(kubeconfigPath)];
  const rows: Row[] = [];
  try {
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const leads = (each: typeof first): Promise<number> => each.metric('leader_election_master_status');
      while ((await leads(first)) + (await leads(second)) !== 1) await sleep(100);
      if ((await leads(second)) === 1) [first, second] = [second, first];
      await first.kill(signal);
      const name = `after-${signal.toLowerCase()}`;
      await createJob(api, name);
      const seconds = await secondsUntilStatus(api, name, LIMIT_SECONDS);
      rows.push({
        case: `two controllers, the leader gets ${signal}`,
        result: `the other acts after ${seconds.toFixed(1)} s`,
        measured: { seconds },
      });
      first = await startControllerProcess(kubeconfigPath);
    }
    return rows;
  } finally {
    await Promise.all([first.kill('SIGKILL'), second.kill('SIGKILL')]);
    api.close();
  }
}
