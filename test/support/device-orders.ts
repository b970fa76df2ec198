import type { DeviceOrders } from '../../runtime/device/events.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import { dataParallel } from '../../soap/baselines/index.ts';
import { createPlan } from '../../soap/plan/create-plan.ts';
import { encodePlan } from '../../soap/plan/plan-file.ts';
import { freePorts } from './ports.ts';
import { goldenCase } from './train-in-memory.ts';

const HOST = '127.0.0.1';

/** What devices of this machine are told to train golden mlp by data parallelism, for so many steps, neighbours of each other. */
export async function mlpOrders(
  count: number,
  steps: number,
  spec: Partial<TrainingJob['spec']> = {},
): Promise<DeviceOrders[]> {
  const golden = await goldenCase('mlp');
  const { training } = golden.loaded;
  const cluster = presetCluster(`localx${count}`);
  const strategy = dataParallel(training.graph, cluster);
  const prediction = evaluate({ training, cluster, costs: createRooflineCosts() }, strategy);
  const plan = encodePlan(createPlan({ training, cluster }, strategy, { prediction, baselines: {}, origin: 'data' }));
  const { epochs: _, ...settings } = golden.job.spec.training;
  const job = { ...golden.job, spec: { ...golden.job.spec, training: { ...settings, steps }, ...spec } };
  const peers = (await freePorts(count)).map((port, device) => ({ device, node: 'node', host: HOST, port }));
  return peers.map(({ device }) => ({
    device,
    job,
    plan,
    peers,
    listenHost: HOST,
    token: 'secret',
    session: 'faults/1',
    storage: golden.directory,
    resume: false,
    gpu: 0,
    devicesHere: 1,
    threads: 1,
    connectTimeoutMs: 60_000,
    tls: undefined,
  }));
}

/** The same, as of a machine for each device: they share no memory. */
export function onMachinesOfTheirOwn(orders: DeviceOrders): DeviceOrders {
  return { ...orders, peers: orders.peers.map((peer) => ({ ...peer, node: `node ${peer.device}` })) };
}
