import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import type { DeviceEvent, DeviceOrders } from '../../runtime/device/events.ts';
import { mlpOrders, onMachinesOfTheirOwn } from './device-orders.ts';
import type { FrameProxy } from './frame-proxy.ts';

const DEVICE_PROGRAM = new URL('../../runtime/device/main.ts', import.meta.url).pathname;

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
  const all = await mlpOrders(count, 1_000_000);
  if (through !== undefined) through.forwardTo(all[0]!.peers[1]!.port);
  return all.map((orders) => {
    // Neighbours, which share memory, except where a test is about what goes over the connection.
    const told = through === undefined ? orders : callingThrough(onMachinesOfTheirOwn(orders), through);
    return startDevice(change?.(told) ?? told);
  });
}

/** The orders of device 0 have it call device 1 through a proxy. */
function callingThrough(orders: DeviceOrders, { port }: FrameProxy): DeviceOrders {
  if (orders.device !== 0) return orders;
  return { ...orders, peers: orders.peers.map((peer) => (peer.device === 1 ? { ...peer, port } : peer)) };
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
