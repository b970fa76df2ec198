import { readFile } from 'node:fs/promises';
import { parseTrainingJob } from '../../soap/job/parse.ts';
import type { Problem } from '../../soap/schema/check.ts';
import { createChecker, FileError } from '../../soap/schema/check.ts';
import { parseJson } from '../../soap/schema/json.ts';
import { readFetchedModel } from '../model/fetched-model.ts';
import { fileReason } from '../storage/file-reason.ts';
import { RECORDED_STEPS } from '../program/recorder.ts';
import type { DeviceAddress, DeviceEvent } from '../device/events.ts';
import { leaveLastWords } from './last-words.ts';
import { readTlsFolder } from './tls-folder.ts';
import type { RunEnd, WorkerOptions } from './worker.ts';
import { runWorker } from './worker.ts';

/** Pods of a job start minutes apart when images are pulled. */
const CONNECT_TIMEOUT_MS = 15 * 60 * 1000;
const LOG_EVERY_STEPS = 100;

/** Where the devices of a job are, as the controller writes it. */
interface Peers {
  readonly devices: readonly DeviceAddress[];
  readonly metricsPort: number;
}

const peersChecker = createChecker<Peers>({
  type: 'object',
  required: ['devices', 'metricsPort'],
  properties: {
    metricsPort: { type: 'integer', minimum: 0, maximum: 65535 },
    devices: {
      type: 'array',
      minItems: 1,
      maxItems: 65536,
      items: {
        type: 'object',
        required: ['device', 'node', 'host', 'port'],
        properties: {
          device: { type: 'integer', minimum: 0 },
          node: { type: 'string' },
          host: { type: 'string' },
          port: { type: 'integer', minimum: 1, maximum: 65535 },
        },
      },
    },
  },
});

/** What a pod's environment must say; the value is what it is for. */
const VARIABLES = {
  SOAPSTONE_JOB: 'file with the TrainingJob',
  SOAPSTONE_PLAN: 'file with the plan',
  SOAPSTONE_PEERS: 'file with the addresses of all devices',
  SOAPSTONE_TOKEN_FILE: "file with the job's token",
  SOAPSTONE_STORAGE: 'folder with model, data and checkpoints',
  SOAPSTONE_NODE: 'name of this node in the plan',
  SOAPSTONE_ATTEMPT: 'number of this attempt',
  SOAPSTONE_HOST: 'address to listen on',
} as const;

type Variable = keyof typeof VARIABLES;

/** Folder with tls.crt, tls.key and ca.crt; without it, devices talk in the clear. */
const TLS_VARIABLE = 'SOAPSTONE_TLS';

/** Folder for checkpoints; without it they are in SOAPSTONE_STORAGE. */
const CHECKPOINTS_VARIABLE = 'SOAPSTONE_CHECKPOINTS';

/** See {@link WorkerOptions}. */
export type PodSignals = Pick<WorkerOptions, 'stop' | 'signal'>;

/** Runs the devices that a plan gives to this pod's node. */
export async function runPod(
  env: NodeJS.ProcessEnv,
  { stop, signal }: PodSignals,
  log: (line: string) => void,
): Promise<RunEnd> {
  const variables = readVariables(env);
  const parsed = parseTrainingJob(await readJson('SOAPSTONE_JOB', variables));
  if ('problems' in parsed) throw new FileError(variables.SOAPSTONE_JOB, parsed.problems);
  const peers = await readJson('SOAPSTONE_PEERS', variables);
  if (!peersChecker.is(peers)) throw new FileError(variables.SOAPSTONE_PEERS, peersChecker.problems(peers));
  const { job } = parsed;
  const node = variables.SOAPSTONE_NODE;
  const devices = peers.devices.filter((address) => address.node === node).map(({ device }) => device);
  if (devices.length === 0) throw new Error(`the plan has no device on node '${node}'; see the job's ConfigMap`);
  // Once, before the devices of this pod look for it.
  if ('url' in job.spec.model) await readFetchedModel(job.spec.model);
  const token = (await readFile(variables.SOAPSTONE_TOKEN_FILE, 'utf8')).trim();
  const tlsFolder = env[TLS_VARIABLE];
  const checkpointStorage = env[CHECKPOINTS_VARIABLE];
  let nothingLeft: string | undefined;
  const end = await runWorker({
    job,
    plan: await readFile(variables.SOAPSTONE_PLAN, 'utf8'),
    addresses: peers.devices,
    devices,
    listenHost: variables.SOAPSTONE_HOST,
    metrics: { host: variables.SOAPSTONE_HOST, port: peers.metricsPort },
    token,
    session: `${job.metadata.namespace ?? 'default'}/${job.metadata.name}/${variables.SOAPSTONE_ATTEMPT}`,
    storage: variables.SOAPSTONE_STORAGE,
    ...(checkpointStorage && { checkpointStorage }),
    resume: true,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    record: RECORDED_STEPS,
    onEvent: (device, event) => {
      logEvent(device, event, log);
      if (device === 0 && event.type === 'ready' && event.firstStep >= event.steps)
        nothingLeft = `its last attempt trained no step: the checkpoint in checkpoint.directory had all ${event.steps} before`;
    },
    onMetrics: (url) => log(`metrics: ${url}`),
    ...(tlsFolder && { tls: await readTlsFolder(tlsFolder) }),
    stop,
    signal,
  });
  if (nothingLeft !== undefined && end.kind === 'done') await leaveLastWords(nothingLeft);
  return end;
}

function readVariables(env: NodeJS.ProcessEnv): Record<Variable, string> {
  const names = Object.keys(VARIABLES).filter((name): name is Variable => name in VARIABLES);
  const problems: Problem[] = names
    .filter((name) => !env[name])
    .map((name) => ({ path: name, message: `is not set; expected the ${VARIABLES[name]}` }));
  if (problems.length > 0) throw new FileError('the environment', problems);
  const value = (name: Variable): string => env[name] ?? '';
  return {
    SOAPSTONE_JOB: value('SOAPSTONE_JOB'),
    SOAPSTONE_PLAN: value('SOAPSTONE_PLAN'),
    SOAPSTONE_PEERS: value('SOAPSTONE_PEERS'),
    SOAPSTONE_TOKEN_FILE: value('SOAPSTONE_TOKEN_FILE'),
    SOAPSTONE_STORAGE: value('SOAPSTONE_STORAGE'),
    SOAPSTONE_NODE: value('SOAPSTONE_NODE'),
    SOAPSTONE_ATTEMPT: value('SOAPSTONE_ATTEMPT'),
    SOAPSTONE_HOST: value('SOAPSTONE_HOST'),
  };
}

/** The content of a file that a variable names. @throws {Error} a sentence */
async function readJson(
  variable: Variable,
  { [variable]: path }: Readonly<Record<Variable, string>>,
): Promise<unknown> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new Error(
      `${variable} is '${path}': ${fileReason(error)}; expected the ${VARIABLES[variable]}, which the controller writes into the job's ConfigMap`,
      { cause: error },
    );
  });
  return parseJson(
    text,
    path,
    `the controller writes the ${VARIABLES[variable]}: delete this pod, and another is made`,
  );
}

function logEvent(device: number, event: DeviceEvent, log: (line: string) => void): void {
  if (event.type === 'step') {
    if (event.loss !== undefined && (event.step + 1) % LOG_EVERY_STEPS === 0) {
      log(`step ${event.step + 1}: loss ${event.loss.toFixed(4)}, ${(1000 * event.iterationSeconds).toFixed(1)} ms`);
    }
  } else if (event.type !== 'spans') log(`device ${device}: ${JSON.stringify(event)}`);
}
