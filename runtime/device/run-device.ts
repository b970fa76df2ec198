import { parseTrainingJob } from '../../soap/job/parse.ts';
import { FileError } from '../../soap/schema/check.ts';
import { decodePlan } from '../../soap/plan/plan-file.ts';
import { resolvePlan } from '../../soap/plan/resolve-plan.ts';
import { runSettings } from '../checkpoint/run-settings.ts';
import { shareGradients } from '../collectives/shared-gradients.ts';
import { openDataset } from '../data/open-dataset.ts';
import { createKernelEngine } from '../kernels/create-engine.ts';
import { DeviceProgram } from '../program/device-program.ts';
import { OpClock } from '../program/op-clock.ts';
import { Recorder } from '../program/recorder.ts';
import { timedTransport } from '../transport/timed.ts';
import type { DeviceRunOptions } from './device-run.ts';
import { DeviceRun } from './device-run.ts';
import { engineNotice } from './engine-notice.ts';
import type { DeviceOrders, WorkerTies } from './events.ts';
import { loadModel } from '../model/load-model.ts';
import { planWork } from '../program/planned-work.ts';
import { keepToOwnCores } from './own-cores.ts';
import { connect, neighboursOf, reportLinks } from './peers.ts';
import { collectGarbage } from '../process/process-settings.ts';
import { messageOf } from '../../soap/message-of.ts';

/** Runs one device's share of a job, from its orders to the end. */
export async function runDevice(orders: DeviceOrders, worker: WorkerTies): Promise<void> {
  const { stop } = worker;
  keepToOwnCores({ index: orders.gpu, of: orders.devicesHere });
  const prepared = await prepare(orders, worker);
  collectGarbage();
  const { transport, program, engine, dataset, evaluation } = prepared;
  const run = new DeviceRun(prepared);
  stop.addEventListener('abort', () => run.requestStop());
  if (stop.aborted) run.requestStop();
  transport.ready();
  try {
    await run.run();
  } catch (error) {
    const failure = new Error(`${run.where}: ${messageOf(error)}`, {
      cause: error,
    });
    // First of all: the peers are to hear it before this device tidies up.
    await transport.close(failure.message);
    throw failure;
  } finally {
    // The peers hear the goodbye before anything is torn down.
    await transport.close();
    program.release();
    engine.close();
    await dataset.close();
    await evaluation?.close();
  }
}

/** Loads the job, connects the device, and builds its program. */
async function prepare(orders: DeviceOrders, worker: WorkerTies): Promise<DeviceRunOptions> {
  const { device } = orders;
  const { report } = worker;
  const parsed = parseTrainingJob(orders.job);
  if ('problems' in parsed) throw new FileError('the job', parsed.problems);
  const { job } = parsed;
  const { wire, kernels, optimizer, seed } = job.spec.training;
  const {
    model: { weights, ...model },
    training,
  } = await loadModel(job, orders.storage);
  const plan = decodePlan(orders.plan);
  const { strategy, cluster } = resolvePlan(plan, training.graph);
  const work = planWork(training, strategy, cluster, { ...plan.training, wire });
  const dataset = await openDataset(job.spec.dataset, orders.storage, training.graph);
  const evaluation =
    job.spec.evaluation &&
    (await openDataset(job.spec.evaluation.dataset, orders.storage, training.graph, 'evaluation'));
  const { provider, engine } = createKernelEngine(kernels, { ...orders, spins: orders.peers.length === 1 });
  const transport = await connect(orders, worker);
  const timed = timedTransport(transport);
  await reportLinks(transport, cluster, report);
  const probed = new Map(transport.traffic());
  const notice = device === 0 ? engineNotice(provider, engine.name, cluster.devices[device]!) : undefined;
  if (notice !== undefined) report({ type: 'notice', message: notice });
  const recorder = orders.record && new Recorder(orders.record);
  // What is read where it lies is not rounded on the way.
  const neighbours = wire === 'bfloat16' ? new Set<number>() : neighboursOf(orders);
  const computesOnHost = engine.adopt !== undefined;
  const sharedGradients = await shareGradients({ tasks: work.tasks, transport: timed, neighbours, computesOnHost });
  const clock = new OpClock(work.tasks, training.graph, device, plan.ops);
  const order = work.orders[device]!;
  const how = { device, order, engine, transport: timed, optimizer, seed, wire, sharedGradients, recorder, clock };
  const program = new DeviceProgram({ ...work, ...how, training, weights });
  const settings = runSettings(job.spec, weights);
  const run = {
    job,
    orders,
    training,
    settings,
    model,
    work,
    dataset,
    evaluation,
    transport,
    timed,
    provider,
    engine,
    program,
  };
  return { ...run, recorder, clock, plan, probed, report };
}
