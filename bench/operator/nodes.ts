import { setTimeout as sleep } from 'node:timers/promises';
import { BenchApi } from './api.ts';
import { startControllerProcess } from './controller-process.ts';
import type { Row, Server } from './row.ts';
import { createJob, createNode, forEachIndex, secondsUntilStatus } from './world.ts';

const UPDATES_PER_SEC = 20;
const LIMIT_SECONDS = 120;
/** After its first lists the run time collects what it left. */
const SETTLE_MS = 10_000;

/** CPU of a controller that watches so many nodes, of which 20 a second get a label that does not matter. */
export async function manyNodes(server: Server, nodes: number, seconds: number): Promise<Row[]> {
  const api = new BenchApi(server.kubeConfig);
  await forEachIndex(nodes, (i) => createNode(api, `node-${i}`, 1));
  // No node has so many devices: it waits, and any node that changes may be what it waits for.
  await createJob(api, 'waits', { devices: { min: 9, max: 9, nodeSelector: { pool: 'training' } } });
  const controller = await startControllerProcess(server.kubeconfigPath);
  try {
    await secondsUntilStatus(api, 'waits', LIMIT_SECONDS);
    await sleep(SETTLE_MS);
    const before = { cpu: await controller.cpuSeconds(), visits: await controller.metric('workqueue_adds_total') };
    const startMs = performance.now();
    for (let update = 0; update < UPDATES_PER_SEC * seconds; update++) {
      await sleep(Math.max(0, startMs + (1000 / UPDATES_PER_SEC) * update - performance.now()));
      const body = { metadata: { labels: { 'nvidia.com/gfd.timestamp': String(1 + update) } } };
      await api.must('PATCH', `/api/v1/nodes/node-${update % nodes}`, body, 'application/merge-patch+json');
    }
    const lasted = (performance.now() - startMs) / 1000;
    const cpu = (100 * ((await controller.cpuSeconds()) - before.cpu)) / lasted;
    const visits = (await controller.metric('workqueue_adds_total')) - before.visits;
    const perSecond = ((UPDATES_PER_SEC * seconds) / lasted).toFixed(1);
    const [now, peak] = [await controller.residentBytes(), await controller.peakBytes()];
    return [
      {
        case: `${nodes} nodes, ${perSecond} label updates/s for ${lasted.toFixed(0)} s`,
        result: `${cpu.toFixed(1)} % of a core; ${visits} visits (the job that waits looks again each 15 s); ${megabytes(now)} MB, at most ${megabytes(peak)} MB`,
        measured: { cpuPercent: cpu, visits, updates: UPDATES_PER_SEC * seconds, residentBytes: now, peakBytes: peak },
      },
    ];
  } finally {
    await controller.kill('SIGKILL');
    api.close();
  }
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}
