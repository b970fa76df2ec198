import process from 'node:process';
import { runPod } from '../../runtime/worker/pod.ts';
import type { Command } from './command.ts';

const HELP = `soapstone worker: runs the devices of one pod, as the controller's pods do

Everything comes from the environment: SOAPSTONE_JOB, SOAPSTONE_PLAN, SOAPSTONE_PEERS (files), SOAPSTONE_TOKEN_FILE,
SOAPSTONE_STORAGE (a folder), SOAPSTONE_NODE, SOAPSTONE_ATTEMPT, SOAPSTONE_HOST.

example: SOAPSTONE_NODE=gpu-a soapstone worker
`;

export const workerCommand: Command = {
  name: 'worker',
  summary: 'run the devices of one pod (started by the controller)',
  help: HELP,
  async run() {
    const abort = new AbortController();
    process.once('SIGTERM', () => abort.abort());
    process.once('SIGINT', () => abort.abort());
    await runPod(process.env, abort.signal, (line) => process.stdout.write(`${line}\n`));
    return 0;
  },
};
