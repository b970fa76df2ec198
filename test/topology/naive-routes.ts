import type { ClusterDescription } from '../../soap/cluster/cluster.ts';

/** The best way found to a point: its links, and the smallest bandwidth. */
interface Found {
  readonly links: readonly number[];
  readonly width: number;
}

/**
 * Routes from one device to all devices as the rule says it, by names: one ring of equal distance after the other; within a
 * ring, a wider way to a point replaces a narrower one; nothing passes through another device. Undefined where none leads.
 */
export function naiveRoutes(
  { devices, connections }: ClusterDescription,
  from: number,
): (readonly number[] | undefined)[] {
  const links = connections.flatMap(({ between: [a, b], bandwidthBytesPerSec }) => [
    { from: a, to: b, bandwidthBytesPerSec },
    { from: b, to: a, bandwidthBytesPerSec },
  ]);
  const isDevice = new Set(devices.map(({ name }) => name));
  const start = devices[from]!.name;
  const reached = new Map<string, Found>([[start, { links: [], width: Infinity }]]);
  let ring = [start];
  while (ring.length > 0) {
    const next = new Map<string, Found>();
    for (const point of ring) {
      if (point !== start && isDevice.has(point)) continue;
      const way = reached.get(point)!;
      links.forEach((link, id) => {
        if (link.from !== point || reached.has(link.to)) return;
        const width = Math.min(way.width, link.bandwidthBytesPerSec);
        if (width > (next.get(link.to)?.width ?? 0)) next.set(link.to, { links: [...way.links, id], width });
      });
    }
    for (const [point, way] of next) reached.set(point, way);
    ring = [...next.keys()];
  }
  return devices.map(({ name }) => reached.get(name)?.links);
}
