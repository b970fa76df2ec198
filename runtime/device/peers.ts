import type { Cluster } from '../../soap/cluster/cluster.ts';
import { measureLinks } from '../profile/measure-links.ts';
import type { Transport } from '../transport/transport.ts';
import { connectWebSocketTransport } from '../transport/websocket.ts';
import type { DeviceEvent, DeviceOrders, WorkerTies } from './events.ts';

/** The devices that are processes of this pod. */
export function neighboursOf({ device, peers }: DeviceOrders): Set<number> {
  const node = peers.find(({ device: id }) => id === device)?.node;
  return new Set(peers.filter((peer) => peer.node === node).map(({ device: id }) => id));
}

/** Measures the ways to other devices before there is anything else on them. */
export async function reportLinks(
  transport: Transport,
  cluster: Cluster,
  report: (event: DeviceEvent) => void,
): Promise<void> {
  const measured = await measureLinks(
    transport,
    cluster.devices.map(({ node }) => node),
  );
  if (measured.length === 0) return;
  const links = measured.map((link) => ({
    ...link,
    plannedBytesPerSec: cluster.path(transport.self, link.peer).bandwidthBytesPerSec,
  }));
  report({ type: 'links', links });
}

/** Connects a device with all others. */
export function connect(orders: DeviceOrders, worker: WorkerTies): Promise<Transport> {
  const { device, peers, listenHost, connectTimeoutMs, tls, ...secret } = orders;
  const addresses = new Map(peers.map(({ device: id, host, port }) => [id, { host, port }]));
  const own = addresses.get(device);
  const neighbours = neighboursOf(orders);
  if (own === undefined) throw new Error(`internal: device ${device} is not among its peers`);
  addresses.delete(device);
  const listen = { host: listenHost, port: own.port };
  const { token, session } = secret;
  const exchangePorts = (port: number): WorkerTies['ports'] => {
    worker.report({ type: 'listening', port });
    return worker.ports;
  };
  return connectWebSocketTransport({
    self: device,
    token,
    session,
    peers: addresses,
    neighbours,
    listen,
    connectTimeoutMs,
    ...(tls && { tls }),
    ...(own.port === 0 && { exchangePorts }),
  });
}
