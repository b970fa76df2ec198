import type { PieceMessages } from './messages.ts';

/** Every device sends all to all and sums in the order of the ring. */
export async function exchange(messages: PieceMessages, devices: readonly number[], data: Float32Array): Promise<void> {
  messages.round(data);
  const own = data.slice();
  const others = devices.filter((device) => device !== messages.self);
  const sends = others.map((device) => messages.send(device, 0, own));
  for (const [index, device] of devices.entries()) {
    if (device !== messages.self) await (index === 0 ? messages.copy(device, 0, data) : messages.add(device, 0, data));
    else if (index > 0) messages.addHere(own, data);
  }
  await Promise.all(sends);
}
