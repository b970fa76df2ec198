import type { HostCosts, MessageTime } from '../../cost/cost-table.ts';
import type { Prior } from './fit.ts';
import { DEFAULT_SLICE_US } from './run-items.ts';

const MIB = 2 ** 20;

/** What is measured before any iteration is. */
export interface HostMeasurements {
  readonly cores: number;
  readonly startUs: number;
  /** Ascending by size. */
  readonly messages: readonly MessageTime[];
}

/**
 * Where a fit starts: messages as their ping-pong says, divided evenly between both ends and the way, the rest orders of
 * magnitude, on which the fit depends only where iterations do not say otherwise.
 */
export function hostPrior({ cores, startUs, messages }: HostMeasurements): Prior {
  const smallUs = messages[0]?.us ?? 90;
  const large = messages.find(({ bytes }) => bytes >= MIB);
  const perMiBUs = large === undefined ? 500 : Math.max(1, ((large.us - smallUs) * MIB) / large.bytes);
  const costs: HostCosts = {
    cores,
    startUs,
    kernelUs: Math.max(40, 4 * startUs),
    updateUs: Math.max(25, 2 * startUs),
    handUs: 40,
    taskShare: 1,
    updateShare: 1,
    sendUs: smallUs / 4,
    messageUs: smallUs / 12,
    receiveUs: smallUs / 3,
    messageUsPerMiB: perMiBUs / 2,
    receiveUsPerMiB: perMiBUs / 2,
    wakeUs: smallUs / 3,
    copyUsPerMiB: 300,
    sumUsPerMiB: 800,
    longSumUsPerMiB: 220,
    copyUsPerRun: 0.2,
    stepUs: 100,
    rowUs: 5,
    readUsPerMiB: 150,
    sliceUs: DEFAULT_SLICE_US,
    switchUs: 20,
    crowding: 0.05,
  };
  return {
    costs,
    sigma: {
      kernelUs: 0.4,
      updateUs: 0.4,
      handUs: 0.4,
      taskShare: 0.3,
      updateShare: 0.2,
      sendUs: 0.5,
      messageUs: 0.5,
      receiveUs: 0.5,
      messageUsPerMiB: 0.7,
      receiveUsPerMiB: 0.7,
      wakeUs: 0.7,
      copyUsPerMiB: 1,
      sumUsPerMiB: 1,
      longSumUsPerMiB: 1,
      copyUsPerRun: 1,
      stepUs: 1,
      rowUs: 0.5,
      readUsPerMiB: 0.7,
      sliceUs: 0.5,
      switchUs: 1,
      crowding: 0.4,
    },
  };
}
