import test from 'ava';
import type { Device } from '../../soap/cluster/cluster.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import type { CostEntry, HostCosts } from '../../soap/cost/cost-table.ts';
import { createCostTable, decodeCostTable, encodeCostTable, mergeCostTables } from '../../soap/cost/cost-table.ts';
import { createCosts } from '../../soap/cost/create-costs.ts';
import { createMeasuredCosts } from '../../soap/cost/measured.ts';
import { FileError } from '../../soap/schema/check.ts';
import { updateWork } from '../../soap/tasks/gradient-work.ts';
import { KERNELS_VERSION } from '../../soap/version.ts';

const device: Device = presetCluster('localx2').devices[0]!;

function entry(signature: string, us: number, flops: number, direction: CostEntry['direction'] = 'forward'): CostEntry {
  return { signature, direction, flops, memoryBytes: flops / 100, us, spread: 0.01 };
}

const HOST: HostCosts = {
  cores: 2,
  startUs: 10,
  kernelUs: 90,
  updateUs: 60,
  taskShare: 1.5,
  messageUs: 20,
  receiveUs: 20,
  messageUsPerMiB: 300,
  receiveUsPerMiB: 300,
  wakeUs: 30,
  copyUsPerMiB: 100,
  sumUsPerMiB: 400,
  copyUsPerRun: 0.1,
  stepUs: 200,
  crowding: 0.1,
};

function table(entries: readonly CostEntry[], host?: HostCosts, kernels: string = KERNELS_VERSION) {
  const measured = '2026-11-26T10:00:00Z';
  return createCostTable([{ deviceType: 'cpu', kernels, measured, entries, messages: [], ...(host && { host }) }]);
}

test('a table is read as it was written, and merges with a newer one, whose entries count', (t) => {
  const older = table([entry('relu(8)', 5, 8e6), entry('linear(4x4)', 9, 1e6)], HOST);
  t.deepEqual(decodeCostTable(encodeCostTable(older)), older);
  const newer = table([], { ...HOST, rowUs: 3 });
  t.deepEqual(decodeCostTable(encodeCostTable(newer)), newer);
  const merged = mergeCostTables(older, table([entry('relu(8)', 6, 8e6), entry('relu(8)', 7, 8e6, 'backward')]));
  t.deepEqual(
    merged.devices[0]!.entries.map(({ us }) => us),
    [6, 9, 7],
  );
  t.deepEqual(merged.devices[0]!.host, HOST);
  const crowdedHost = { ...HOST, handUs: 6, messageUs: 77, sliceUs: 9, switchUs: 8, readUsPerMiB: 7 };
  const crowded = createCostTable(older.devices.map((each) => ({ ...each, crowdedHost })));
  t.deepEqual(decodeCostTable(encodeCostTable(crowded)), crowded);
  t.deepEqual(mergeCostTables(crowded, older).devices[0]!.crowdedHost, crowdedHost);
  // Where devices outnumber cores its costs count.
  const messageUs = (devicesPerHost: number) => createMeasuredCosts(crowded, { devicesPerHost }).host('cpu')?.messageUs;
  t.deepEqual([HOST.cores, HOST.cores + 1].map(messageUs), [HOST.messageUs, 77]);
  t.is(mergeCostTables(older, table([], undefined, 'others')).devices.length, 2);
});

test('a table that is none says what is wrong with it', (t) => {
  const broken: [string, RegExp][] = [
    ['{', /is not JSON/],
    [
      '{"version":2,"soapstone":"0.1.0","devices":[]}',
      /version: got 2, expected \d+: make the file anew with this version$/m,
    ],
    [encodeCostTable(table([entry('relu(8)', -1, 8)])), /devices\[0\]\.entries\[0\]\.us/],
    [encodeCostTable(table([], { ...HOST, taskShare: 1e308 })), /devices\[0\]\.host\.taskShare/],
    [encodeCostTable({ ...table([]), devices: [...table([]).devices, ...table([]).devices] }), /second table of cpu/],
  ];
  for (const [text, expected] of broken) {
    const error = t.throws(() => decodeCostTable(text, 'costs.json'), { instanceOf: FileError });
    t.regex(error.message, expected);
  }
});

test('work costs what was measured of it, else what the nearest work of its op says, else what data sheets say', (t) => {
  const costs = createMeasuredCosts(table([entry('linear(4)', 1000, 1e9), entry('linear(8)', 2000, 2e9)]));
  const work = (signature: string, flops: number) => ({ ...entry(signature, 0, flops) });
  const of = (signature: string, flops: number): [string, number] => {
    const each = work(signature, flops);
    return [costs.basis(each, device), Math.round(costs.durationUs(each, device))];
  };
  t.deepEqual(of('linear(4)', 1e9), ['measured', 1070]);
  t.deepEqual(of('linear(16)', 4e9), ['interpolated', 4070]);
  t.is(of('relu(4)', 1e9)[0], 'roofline');
  t.is(costs.basis(work('linear(4)', 1e9), { ...device, type: 'P100' }), 'roofline');
  const others = createMeasuredCosts(table([entry('linear(4)', 1000, 1e9)], undefined, 'of other kernels'));
  t.is(others.basis(work('linear(4)', 1e9), device), 'roofline');
});

test('a device that is faster than others of its type takes as much less of what was measured', (t) => {
  const costs = createMeasuredCosts(table([entry('linear(4)', 1000, 1e9)]));
  const us = (signature: string, flops: number, speedup?: number): number =>
    costs.durationUs(entry(signature, 0, flops), { ...device, taskOverheadUs: 0, ...(speedup && { speedup }) });
  t.is(us('linear(4)', 1e9, 4), us('linear(4)', 1e9) / 4);
  t.is(us('linear(8)', 2e9, 4), us('linear(8)', 2e9) / 4, 'interpolated');
  t.is(us('relu(4)', 1e9, 4), us('relu(4)', 1e9), 'data sheets have it in their own numbers');
});

test("the host's costs leave the start of a kernel out, and stretch tasks where devices share cores", (t) => {
  const measured = table([entry('linear(4)', 1010, 1e9)], HOST);
  const work = entry('linear(4)', 0, 1e9);
  t.is(createMeasuredCosts(measured).durationUs(work, device), 1500);
  const four = createMeasuredCosts(measured, { devicesPerHost: 4 });
  t.is(four.durationUs(work, device), 3000);
  t.is(createCosts(four.recipe).durationUs(work, device), 3000);
});

test('updates are those of the optimizer', (t) => {
  const update = updateWork(400);
  const costs = createMeasuredCosts(table([{ ...update, signature: `adam ${update.signature}`, us: 7, spread: 0 }]), {
    optimizer: 'adam',
  });
  t.is(costs.durationUs(update, device), 77);
  t.is(createMeasuredCosts(table([])).basis(update, device), 'roofline');
  // With the costs of a host, an update has the start of a kernel.
  const entries = [{ ...update, signature: `sgd ${update.signature}`, us: 30, spread: 0 }];
  t.is(createMeasuredCosts(table(entries, HOST)).durationUs(update, device), 60 + 1.5 * 20);
  // It is stretched by a share of its own, where the table has one; ops are not.
  const apart = createMeasuredCosts(table([...entries, entry('linear(4)', 1010, 1e9)], { ...HOST, updateShare: 0.8 }));
  t.is(apart.durationUs(update, device), 60 + 0.8 * 20);
  t.is(apart.durationUs(entry('linear(4)', 0, 1e9), device), 1500);
});
