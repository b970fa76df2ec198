import { createCostTable, decodeCostTable, encodeCostTable } from '../../../soap/cost/cost-table.ts';
import { createMeasuredCosts } from '../../../soap/cost/measured.ts';
import { presetCluster } from '../../../soap/cluster/presets.ts';
import { FileError } from '../../../soap/schema/check.ts';
import { FITTED } from '../../../soap/simulator/host/fit.ts';
import { updateWork } from '../../../soap/tasks/gradient-work.ts';
import { KERNELS_VERSION } from '../../../soap/version.ts';
import { structuredText } from '../structured/documents.ts';
import type { FuzzTarget } from '../target.ts';

const cluster = presetCluster('localx2');
const [device] = cluster.devices;

/** Tables of measured costs: read, and asked for what they have and what they have not. */
export const costTable: FuzzTarget = {
  name: 'cost-table',
  share: 80,
  refusals: [FileError],
  seeds() {
    const work = { signature: 'relu(8)', direction: 'forward', flops: 8, memoryBytes: 64 } as const;
    const update = { ...updateWork(400), signature: 'sgd update(100)' };
    const host = Object.fromEntries(['cores', 'startUs', ...FITTED].map((name) => [name, 1]));
    const table = createCostTable([
      {
        deviceType: device!.type,
        kernels: KERNELS_VERSION,
        measured: '2026-11-26T10:00:00Z',
        entries: [
          { ...work, us: 5, spread: 0.1 },
          { ...update, us: 9, spread: 0 },
        ],
        messages: [{ bytes: 8, us: 30 }],
      },
    ]);
    const [first] = table.devices;
    const withHost = JSON.stringify({ ...table, devices: [{ ...first, host }] });
    return Promise.resolve([encodeCostTable(table), withHost].map((text) => new TextEncoder().encode(text)));
  },
  structured: structuredText((text) => JSON.parse(text)),
  read(bytes) {
    const costs = createMeasuredCosts(decodeCostTable(new TextDecoder().decode(bytes)));
    for (const elements of [100, 1000]) {
      const us = costs.durationUs(updateWork(4 * elements), device!);
      if (!Number.isFinite(us) || us < 0) throw new TypeError(`an update takes ${us} us`);
    }
    costs.host(device!.type);
  },
};
