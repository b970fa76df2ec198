import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { CostEntry } from '../../soap/cost/cost-table.ts';
import { workKey } from '../../soap/cost/cost-table.ts';
import { keptCosts } from '../../soap/cost/kept-costs.ts';
import type { ProfileOrder } from '../../soap/job/handoff.ts';
import { handoffLines } from '../../soap/job/handoff.ts';
import { parseTrainingJob } from '../../soap/job/parse.ts';
import { createChecker, FileError } from '../../soap/schema/check.ts';
import { parseJson } from '../../soap/schema/json.ts';
import { kernelsVersion } from '../../soap/version.ts';
import { loadModel } from '../model/load-model.ts';
import type { ProfiledKernels } from './profile-kernels.ts';
import { profileKernels } from './profile-kernels.ts';

const ORDER_VARIABLE = 'SOAPSTONE_MEASURE';
const STORAGE_VARIABLE = 'SOAPSTONE_STORAGE';

const orderChecker = createChecker<Omit<ProfileOrder, 'job'> & { readonly job: unknown }>({
  type: 'object',
  required: ['job', 'deviceType', 'model', 'devices', 'devicesPerNode', 'seconds'],
  properties: {
    deviceType: { type: 'string', minLength: 1 },
    model: { type: 'string', pattern: '^[0-9a-f]{16}$' },
    devices: { type: 'integer', minimum: 1, maximum: 64 },
    devicesPerNode: { type: 'integer', minimum: 1 },
    seconds: { type: 'number', exclusiveMinimum: 0 },
  },
});

/**
 * Measures for the controller what a job's model costs on the device at hand, and hands that over. Coarse splits come first: where
 * time is up, finer ones are interpolated from them.
 * @param log hears how far it is
 * @throws {Error} a sentence about what is missing or wrong
 */
export async function measureForController(
  env: NodeJS.ProcessEnv,
  write: (line: string) => void,
  log: (line: string) => void,
): Promise<void> {
  const { [ORDER_VARIABLE]: text, [STORAGE_VARIABLE]: storage } = env;
  if (!text || !storage)
    throw new Error(`${ORDER_VARIABLE} and ${STORAGE_VARIABLE} must be set; expected an order and a folder`);
  const order = parseJson(text, ORDER_VARIABLE, 'expected the order that the controller gives its pods');
  if (!orderChecker.is(order)) throw new FileError(ORDER_VARIABLE, orderChecker.problems(order));
  const parsed = parseTrainingJob(order.job);
  if ('problems' in parsed) throw new FileError(`${ORDER_VARIABLE}.job`, parsed.problems);
  const measured = await measure({ ...order, job: parsed.job }, storage, log);
  const about = {
    deviceType: order.deviceType,
    kernels: kernelsVersion(measured.provider),
    startUs: measured.startUs,
  };
  const batch = { model: order.model, measured: new Date().toISOString() };
  const costs = JSON.stringify(keptCosts(about, batch, measured.entries));
  const base64 = (await promisify(gzip)(costs, { level: 9 })).toString('base64');
  for (const line of handoffLines('costs', base64)) write(line);
}

async function measure(
  { job, devices, devicesPerNode, seconds }: ProfileOrder,
  storage: string,
  log: (line: string) => void,
): Promise<Omit<ProfiledKernels, 'missing'>> {
  const { optimizer, kernels: provider } = job.spec.training;
  const { training } = await loadModel(job, storage);
  const threads = Math.max(1, Math.floor(availableParallelism() / devicesPerNode));
  const untilMs = performance.now() + 1000 * seconds;
  const entries: CostEntry[] = [];
  let last: ProfiledKernels | undefined;
  for (const parts of [...doublings(devices), devices]) {
    const limitMs = untilMs - performance.now();
    if (last !== undefined && limitMs <= 0) break;
    const known = entries.map(workKey);
    last = await profileKernels(
      { training, devices: parts, optimizer, known, limitMs, engine: { provider, threads } },
      () => undefined,
    );
    entries.push(...last.entries);
    log(`splits into at most ${parts}: ${last.entries.length} kernels measured, ${last.missing} left out`);
    if (last.missing > 0) break;
  }
  return { ...last!, entries };
}

/** 1, 2, 4, ... below a number. */
function doublings(most: number): number[] {
  return most <= 1 ? [] : [1, ...doublings(most / 2).map((parts) => 2 * parts)];
}
