import type { Cluster } from '../cluster/cluster.ts';
import type { Graph, Op } from '../graph/graph.ts';
import { opDimensions } from '../ops/index.ts';
import type { OpConfig } from '../strategy/strategy.ts';

/** Dimensions that consist of many like things; extents such as height are said as they are. */
const PLURALS: Readonly<Record<string, string>> = {
  sample: 'samples',
  channel: 'channels',
  feature: 'features',
  head: 'heads',
  expert: 'experts',
  class: 'classes',
};

/** Device ranges that are listed before the rest is counted. */
const MAX_RANGES = 6;

/** A configuration in words: `samples in 4, channels in 2, on node0/gpu0-3, node1/gpu0-3`. */
export function configurationInWords(graph: Graph, op: Op, config: OpConfig, cluster: Cluster): string {
  const cuts = opDimensions(graph, op).flatMap(({ name }, i) =>
    config.degrees[i] === 1 ? [] : [`${PLURALS[name] ?? name} in ${config.degrees[i]}`],
  );
  const devices = [...new Set(config.devices)].sort((a, b) => a - b);
  const parts = config.devices.length > devices.length ? `${config.devices.length} parts ` : '';
  const names = nameRanges(devices.map((device) => cluster.devices[device]!.name));
  return `${cuts.length === 0 ? 'whole' : cuts.join(', ')}, ${parts}on ${names}`;
}

/** Names with numbers that follow each other as ranges: `node0/gpu0-3`. */
export function nameRanges(names: readonly string[]): string {
  const ranges: { prefix: string; first: number | undefined; last: number | undefined; count: number }[] = [];
  for (const name of names) {
    const digits = /\d+$/.exec(name)?.[0];
    const prefix = digits === undefined ? name : name.slice(0, -digits.length);
    const number = digits === undefined ? undefined : Number(digits);
    const open = ranges.at(-1);
    if (open?.prefix === prefix && open.last !== undefined && number === open.last + 1) {
      open.last = number;
      open.count += 1;
    } else ranges.push({ prefix, first: number, last: number, count: 1 });
  }
  const shown = ranges.slice(0, MAX_RANGES).map(({ prefix, first, last, count }) => {
    return count === 1 ? `${prefix}${first ?? ''}` : `${prefix}${first}-${last}`;
  });
  const more = ranges.slice(MAX_RANGES).reduce((sum, { count }) => sum + count, 0);
  return shown.join(', ') + (more === 0 ? '' : ` and ${more} more`);
}
