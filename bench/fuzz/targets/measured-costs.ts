import { createCostTable } from '../../../soap/cost/cost-table.ts';
import { decodeKeptCosts, deviceCostsOf, keptCosts, mergeKeptCosts } from '../../../soap/cost/kept-costs.ts';
import { createMeasuredCosts } from '../../../soap/cost/measured.ts';
import { LOCAL_CPU } from '../../../soap/cluster/device-types.ts';
import { FileError } from '../../../soap/schema/check.ts';
import { KERNELS_VERSION } from '../../../soap/version.ts';
import { structuredText } from '../structured/documents.ts';
import type { FuzzTarget } from '../target.ts';

const WORK = { signature: 'relu(2x2)', direction: 'forward', flops: 4, memoryBytes: 32 } as const;
const KEPT = keptCosts(
  { deviceType: LOCAL_CPU.type, kernels: KERNELS_VERSION, startUs: 2 },
  { model: '0123456789abcdef', measured: '2026-11-26T00:00:00.000Z' },
  [
    { ...WORK, us: 5, spread: 0.01 },
    { ...WORK, signature: 'relu(4x4)', direction: 'backward', us: 9, spread: 0.02 },
  ],
);

/** Reports of pods that measure devices; unpacked already, since a digest guards what is packed. What is read is merged, and asked. */
export const measuredCosts: FuzzTarget = {
  name: 'measured costs',
  share: 20,
  refusals: [FileError],
  seeds: () => Promise.resolve([Buffer.from(JSON.stringify(KEPT))]),
  structured: structuredText((text) => JSON.parse(text)),
  read(bytes) {
    const merged = mergeKeptCosts(KEPT, decodeKeptCosts(Buffer.from(bytes).toString(), 'the report'));
    const us = createMeasuredCosts(createCostTable([deviceCostsOf(merged)])).durationUs(WORK, {
      id: 0,
      name: 'a',
      node: 'a',
      ...LOCAL_CPU,
    });
    if (!Number.isFinite(us) || us <= 0) throw new TypeError(`a task takes ${us} us`);
  },
};
