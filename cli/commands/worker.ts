import process from 'node:process';
import { runPod } from '../../runtime/worker/pod.ts';
import { DIVERGED_EXIT_CODE, LOST_PEER_EXIT_CODE, MISSING_FILE_EXIT_CODE } from '../../soap/job/handoff.ts';
import { podExit } from '../command-line/pod-exit.ts';
import { DIVERGENCE } from '../run/divergence.ts';
import { StopSignals } from '../command-line/stop-signals.ts';
import type { Command } from '../command-line/command.ts';

const HELP = `soapstone worker: runs the devices of one pod, as the controller's pods do

Everything comes from the environment: SOAPSTONE_JOB, SOAPSTONE_PLAN, SOAPSTONE_PEERS (files), SOAPSTONE_TOKEN_FILE,
SOAPSTONE_STORAGE (a folder), SOAPSTONE_NODE, SOAPSTONE_ATTEMPT, SOAPSTONE_HOST; SOAPSTONE_CHECKPOINTS (a folder) where
checkpoints are not in storage; and SOAPSTONE_TLS (a folder with tls.crt, tls.key and ca.crt) where the devices are to talk
by TLS.

SIGTERM and Ctrl-C let all devices of the job finish a step and write a checkpoint, and end with 143 or 130; the second ends
it at once. Where a file that the job names is not in storage, the exit code is ${MISSING_FILE_EXIT_CODE}, and the controller starts the pods
again later; where a device of another pod was lost, it is ${LOST_PEER_EXIT_CODE}; where the last loss is no number, ${DIVERGED_EXIT_CODE}, and the
controller ends the job.

example: SOAPSTONE_NODE=gpu-a soapstone worker
`;

export const workerCommand: Command = {
  name: 'worker',
  summary: 'run the devices of one pod (started by the controller)',
  help: HELP,
  run: () => podExit(work),
};

async function work(): Promise<number> {
  const log = (line: string): void => void process.stdout.write(`${line}\n`);
  const signals = new StopSignals(() => log('asked to stop: finishing a step and writing a checkpoint'));
  try {
    const end = await runPod(process.env, { stop: signals.stop, signal: signals.abort }, log);
    if (end.kind === 'stopped') return signals.exitCode;
    if (!end.isDiverged) return 0;
    process.stderr.write(`soapstone: ${DIVERGENCE}\n`);
    return DIVERGED_EXIT_CODE;
  } finally {
    signals.close();
  }
}
