import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { evaluate } from '../../soap/search/evaluate.ts';
import { dataParallel } from '../../soap/strategy/baselines/index.ts';
import { createPlan } from '../../soap/strategy/create-plan.ts';
import { encodePlan } from '../../soap/strategy/plan-file.ts';
import type { DeviceEvent, DeviceOrders } from '../../runtime/worker/events.ts';
import type { FrameProxy } from './frame-proxy.ts';
import { freePorts } from './ports.ts';
import { goldenCase } from './train-in-memory.ts';

const DEVICE_PROGRAM = new URL('../../runtime/device-main.ts', import.meta.url).pathname;
const HOST = '127.0.0.1';

/** A device's process, as its worker sees it. */
export interface DeviceProcess {
  readonly child: ChildProcess;
  readonly events: DeviceEvent[];
  /** Resolves with the next event that is wanted, or the first one that already came. Rejects when the process ends without. */
  event(wanted: (event: DeviceEvent) => boolean): Promise<DeviceEvent>;
  /** When it has ended, and what it said it failed with. */
  readonly ended: Promise<{ readonly atMs: number; readonly message: string | undefined }>;
}

export interface DeviceProcessOptions {
  readonly count: number;
  readonly change?: (orders: DeviceOrders) => DeviceOrders;
  /** What device 0 calls device 1 through. */
  readonly through?: FrameProxy;
}

/** Golden mlp for a million steps, data parallel, a process a device. */
export async function startDevices({ count, change, through }: DeviceProcessOptions): Promise<DeviceProcess[]> {
  const golden = await goldenCase('mlp');
  const { training } = golden.loaded;
  const cluster = presetCluster(`localx${count}`);
  const strategy = dataParallel(training.graph, cluster);
  const prediction = evaluate({ training, cluster, costs: createRooflineCosts() }, strategy);
  const plan = encodePlan(createPlan({ training, cluster }, strategy, { prediction, baselines: {}, origin: 'data' }));
  const { epochs: _, ...settings } = golden.job.spec.training;
  const job = { ...golden.job, spec: { ...golden.job.spec, training: { ...settings, steps: 1_000_000 } } };
  const ports = await freePorts(count);
  through?.forwardTo(ports[1]!);
  return ports.map((_, device) => {
    const portOf = (peer: number): number => (device === 0 && peer === 1 ? through?.port : undefined) ?? ports[peer]!;
    // Neighbours, which share memory, except where a test is about what goes over the connection.
    const nodeOf = (peer: number): string => (through === undefined ? 'node' : `node ${peer}`);
    const peers = ports.map((__, peer) => ({ device: peer, node: nodeOf(peer), host: HOST, port: portOf(peer) }));
    const orders: DeviceOrders = {
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
    };
    return startDevice(change?.(orders) ?? orders);
  });
}

function startDevice(orders: DeviceOrders): DeviceProcess {
  const child = fork(DEVICE_PROGRAM, { serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const events: DeviceEvent[] = [];
  let onEvent: () => void = () => undefined;
  child.on('message', (event: DeviceEvent) => {
    events.push(event);
    onEvent();
  });
  child.send(orders);
  return {
    child,
    events,
    event: (wanted) =>
      new Promise((resolve, reject) => {
        onEvent = () => {
          const found = events.find(wanted);
          if (found !== undefined) resolve(found);
        };
        onEvent();
        child.once('exit', () => reject(new Error(`device ${orders.device} ended: ${JSON.stringify(events.at(-1))}`)));
      }),
    ended: new Promise((resolve) => {
      child.once('exit', () => {
        const failed = events.find((event) => event.type === 'failed');
        resolve({ atMs: performance.now(), message: failed?.message });
      });
    }),
  };
}
