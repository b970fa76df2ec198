/**
 * One device's process: trains a case. Reads numbers of iterations, a line each; answers each with a line of JSON, a
 * {@link Answer}. Arguments: case, device, devices, first port, threads, provider of kernels, and the strategy as JSON.
 */
import { readFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { shareGradients } from '../../runtime/collectives/shared-gradients.ts';
import { DeviceProgram } from '../../runtime/program/device-program.ts';
import { createMemoryTransports } from '../../runtime/transport/memory.ts';
import type { Transport } from '../../runtime/transport/transport.ts';
import { connectWebSocketTransport } from '../../runtime/transport/websocket.ts';
import { planWork } from '../../runtime/program/planned-work.ts';
import { collectGarbage } from '../../runtime/process/process-settings.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { initializeWeights } from '../../soap/models/initialize.ts';
import { createRandom } from '../../soap/random.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { deviceBytes, programMemory } from '../../soap/simulator/program-memory.ts';
import { engineOf } from '../shared/provider.ts';
import { CASES, CLASSES } from './cases.ts';
import type { Answer } from './contender.ts';
import { SGD } from './sgd.ts';

const [name, deviceText, devicesText, portText, threadsText, wanted, strategyText] = process.argv.slice(2);
const strategy: Strategy = JSON.parse(strategyText!);
const [device, devices, port, threads] = [deviceText, devicesText, portText, threadsText].map(Number);
const benchCase = CASES.find((each) => each.name === name)!;

function connect(): Promise<Transport> {
  if (devices === 1) return Promise.resolve(createMemoryTransports(1)[0]!);
  const address = (id: number): { host: string; port: number } => ({ host: '127.0.0.1', port: port! + id });
  const others = Array.from({ length: devices! }, (_, id) => id).filter((id) => id !== device);
  return connectWebSocketTransport({
    self: device!,
    token: 'bench',
    session: 'bench/1',
    listen: address(device!),
    peers: new Map(others.map((id) => [id, address(id)])),
    neighbours: new Set(others),
    connectTimeoutMs: 60_000,
  });
}

async function createProgram(): Promise<{ program: DeviceProgram; plannedBytes: number }> {
  const training = benchCase.build();
  const cluster = presetCluster(`localx${devices}`);
  const work = planWork(training, strategy, cluster);
  const transport = await connect();
  const { provider, engine } = engineOf(wanted!, { threads: threads!, spins: devices === 1 });
  const sharing = {
    tasks: work.tasks,
    transport,
    neighbours: new Set(work.orders.keys()),
    computesOnHost: provider === 'cpu',
  };
  const program = new DeviceProgram({
    ...work,
    training,
    order: work.orders[device!]!,
    device: device!,
    engine,
    transport,
    sharedGradients: await shareGradients(sharing),
    optimizer: SGD,
    weights: initializeWeights(training.graph, 1),
  });
  const random = createRandom(1);
  for (const { memory } of program.dataInputs) {
    const { host } = memory;
    if (host instanceof Float32Array) host.forEach((_, i) => (host[i] = random.normal()));
    else if (host instanceof BigInt64Array) host.forEach((_, i) => (host[i] = BigInt(random.integer(CLASSES))));
  }
  await engine.upload(program.dataInputs.map(({ memory }) => memory));
  return { program, plannedBytes: deviceBytes(programMemory({ training, cluster }, strategy)[device!]!) };
}

const { program, plannedBytes } = await createProgram();
// As a device does when it is ready.
collectGarbage();
// For the next one: this process ends by a signal, when nothing is kept any more.
flushCompileCache();
let pass = 0;

/**
 * What of its resident bytes is this process's share: memory that several devices have mapped, for gradients and messages, counts as so many
 * parts of it; code counts whole, though other processes have it too. Undefined where the system does not say. Source: status and smaps_rollup of proc(5).
 */
function ownBytes(residentBytes: number): number | undefined {
  if (process.platform !== 'linux') return undefined;
  const kibibytes = (file: string, field: string): number => {
    const [, text] = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/self/${file}`, 'utf8')) ?? [];
    return Number(text);
  };
  const bytes = residentBytes - 1024 * (kibibytes('status', 'RssShmem') - kibibytes('smaps_rollup', 'Pss_Shmem'));
  return Number.isNaN(bytes) ? undefined : bytes;
}

async function iterations(count: number): Promise<Answer> {
  const before = { ...program.times };
  const cpuBefore = process.cpuUsage();
  const ms: number[] = [];
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await program.train(pass, { step: pass, learningRate: SGD.learningRate });
    pass += 1;
    ms.push(performance.now() - start);
  }
  const { user, system } = process.cpuUsage(cpuBefore);
  const residentBytes = process.memoryUsage.rss();
  return {
    ms,
    cpuMs: (user + system) / 1000,
    kernelMs: 1000 * (program.times.computeSeconds - before.computeSeconds),
    residentBytes,
    ownBytes: ownBytes(residentBytes) ?? residentBytes,
    plannedBytes,
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await iterations(Number(line))));
}
process.exit(0);
