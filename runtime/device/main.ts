/** The program of one device's process. Its worker sends it the orders and hears its events over the process channel. */
import process from 'node:process';
import { isMissingFile } from '../storage/missing-file.ts';
import { lostPeerOf } from '../transport/transport.ts';
import type { DeviceEvent, DeviceOrders, PortsOrder, StopOrder } from './events.ts';
import { runDevice } from './run-device.ts';
import { messageOf } from '../../soap/message-of.ts';

const FAILED = 1;

/** Resolves when the channel has taken the last event that was reported. */
let taken = Promise.resolve();

function report(event: DeviceEvent): void {
  if (!process.connected) return;
  taken = new Promise((resolve) => process.send?.(event, () => resolve()));
}

/** Ends the process once the channel has taken all events. */
function leave(code: number): void {
  void taken.then(() => process.exit(code));
}

// Without its worker a device has no one to work for.
process.on('disconnect', () => process.exit(FAILED));
// A terminal sends Ctrl-C to every process; the worker decides what it means.
process.on('SIGINT', () => undefined);
process.once('message', (orders: DeviceOrders) => {
  const stop = new AbortController();
  const ports = Promise.withResolvers<PortsOrder['ports']>();
  process.on('message', (order: StopOrder | PortsOrder) => {
    if (order.type === 'stop') stop.abort();
    else ports.resolve(order.ports);
  });
  runDevice(orders, { report, stop: stop.signal, ports: ports.promise }).then(
    () => leave(0),
    (error: unknown) => {
      const message = messageOf(error);
      report({ type: 'failed', message, isMissingFile: isMissingFile(error), lostPeer: lostPeerOf(error) });
      leave(FAILED);
    },
  );
});
