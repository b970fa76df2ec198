import type { Transport } from '../transport/transport.ts';

/** What one device knows of the factor that all gradients are multiplied with. */
export interface ScaleShare {
  /** Sum of the squares of the gradients of its own shards, each shard being one device's. */
  readonly squares: number;
  /** Its loss elements that count. */
  readonly counted: number;
}

export interface ScaleRule {
  /** Loss elements of a batch. */
  readonly elements: number;
  /** Undefined for no limit. */
  readonly clipNorm: number | undefined;
}

/** Sums the shares of all devices, in their order: the same bits on each. */
export async function sumShares(
  { squares, counted }: ScaleShare,
  devices: number,
  transport: Transport,
  tag: { readonly step: number; readonly task: number },
): Promise<ScaleShare> {
  const { self } = transport;
  const own = Float64Array.of(squares, counted);
  const message = { ...tag, round: 0 };
  const others = Array.from({ length: devices }, (_, device) => device).filter((device) => device !== self);
  const sent = Promise.all(others.map((device) => transport.send(device, message, new Uint8Array(own.buffer))));
  // Seen below; until then a failed send must not count as unhandled.
  sent.catch(() => undefined);
  const sum = { squares: 0, counted: 0 };
  for (let device = 0; device < devices; device++) {
    const share = device === self ? own : await receivedShare(transport, device, message);
    sum.squares += share[0]!;
    sum.counted += share[1]!;
  }
  await sent;
  return sum;
}

async function receivedShare(
  transport: Transport,
  device: number,
  message: Parameters<Transport['receive']>[1],
): Promise<Float64Array> {
  const bytes = await transport.receive(device, message, Float64Array.BYTES_PER_ELEMENT * 2);
  return new Float64Array(bytes.buffer, bytes.byteOffset, 2);
}

/**
 * The factor of all gradients. It turns the mean over all loss elements into that over those that count, 0 where none does;
 * then it limits the norm of all gradients together. Source: torch.nn.utils.clip_grad_norm_, with its 1e-6.
 */
export function gradientScale({ squares, counted }: ScaleShare, { elements, clipNorm }: ScaleRule): number {
  const mean = counted === 0 ? 0 : elements / counted;
  if (clipNorm === undefined) return mean;
  const norm = mean * Math.sqrt(squares);
  return mean * Math.min(1, clipNorm / (norm + 1e-6));
}
