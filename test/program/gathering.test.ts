import test from 'ava';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { Gathering } from '../../runtime/program/gathering.ts';
import { createMemoryTransports } from '../../runtime/transport/memory.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import type { StatisticsGroup } from '../../soap/tasks/layout.ts';
import { layOut } from '../../soap/tasks/layout.ts';
import type { GatherTask } from '../../soap/tasks/task-graph.ts';

/** The parts of a crossEntropy over classes on the given devices. */
function groupOn(devices: readonly number[]): StatisticsGroup {
  const builder = new GraphBuilder();
  const inputs = [builder.input('x', [2, 12]), builder.input('targets', [2], 'int64')];
  const graph = builder.build('m', [builder.op('crossEntropy', 'loss', inputs, { scale: 1 })]);
  const layout = layOut({ graph }, { configs: [{ degrees: [1, devices.length], devices }] });
  return layout.groups[0]![0]!;
}

const task: GatherTask = {
  id: 7,
  kind: 'gather',
  key: 0,
  durationUs: 0,
  resources: [],
  predecessors: [],
  successors: [],
  direction: 'forward',
  op: 0,
  parts: [0, 1, 2, 3],
  devices: [0, 1, 2],
  bytes: 8,
};

test('each device has the statistics of all parts, in the order of the group, in every pass', async (t) => {
  const group = groupOn([2, 0, 2, 1]);
  const transports = createMemoryTransports(3);
  const engine = createReferenceEngine();
  const gatherings = transports.map((_, device) => new Gathering({ engine, device, group, size: 2, task }));
  for (const pass of [0, 1]) {
    const vectorOf = (part: number): Float32Array => Float32Array.of(part + 0.1, 10 * pass);
    await Promise.all(
      group.map(({ index, device }) => gatherings[device]!.share(index, vectorOf(index), transports[device]!, pass)),
    );
    await Promise.all(gatherings.map((gathering, device) => gathering.fill(transports[device]!, pass)));
    const all = Float32Array.from([0, 1, 2, 3].flatMap((part) => [...vectorOf(part)]));
    for (const gathering of gatherings) t.deepEqual(gathering.memory.host, all);
    // Parts of one device ask one after the other; messages are taken once.
    await gatherings[2]!.fill(transports[2]!, pass);
  }
});

test('statistics of another size are refused', async (t) => {
  const group = groupOn([0, 1]);
  const transports = createMemoryTransports(2);
  const gathering = new Gathering({ engine: createReferenceEngine(), device: 0, group, size: 2, task });
  await transports[1]!.send(0, { step: 0, task: 7, round: 1 }, new Uint8Array(12));
  await t.throwsAsync(gathering.fill(transports[0]!, 0), {
    message: 'device 1: it sent 12 bytes; expected 8: the devices do not run the same plan',
  });
});
