import type { Cluster } from '../../cluster/cluster.ts';
import type { OpPlacement } from '../../simulator/delta/states.ts';

/** Microseconds that the parts of an op take on their devices, by part; statistics included, not their exchange. */
export interface PassTimes {
  readonly forwardUs: Float64Array;
  readonly backwardUs: Float64Array;
}

/** Looks them up. */
export function passTimes({ devices: all }: Cluster, { geometry, devices }: OpPlacement): PassTimes {
  const { groups, groupOf, forwardStatisticsBytes, backwardStatisticsBytes } = geometry;
  const [forwardUs, backwardUs] = [new Float64Array(geometry.parts), new Float64Array(geometry.parts)];
  for (let part = 0; part < geometry.parts; part++) {
    const times = geometry.durations(all[devices[part]!]!);
    const group = groupOf[part]!;
    const shared = groups[group]!.length > 1;
    const tellsForward = shared && forwardStatisticsBytes[group]! > 0;
    const tellsBackward = shared && backwardStatisticsBytes[group]! > 0;
    forwardUs[part] = times.forwardUs[part]! + (tellsForward ? times.forwardStatisticsUs[part]! : 0);
    backwardUs[part] = times.backwardUs[part]! + (tellsBackward ? times.backwardStatisticsUs[part]! : 0);
  }
  return { forwardUs, backwardUs };
}
