import process from 'node:process';
import { inspectStorage } from '../../runtime/inspect/inspect.ts';
import { MISSING_FILE_EXIT_CODE } from '../../soap/job/handoff.ts';
import { podExit } from '../command-line/pod-exit.ts';
import type { Command } from '../command-line/command.ts';

const HELP = `soapstone inspect: hands the graph of a job's model to the controller, as the controller's pods do

Everything comes from the environment: SOAPSTONE_STORAGE, a folder; SOAPSTONE_INSPECT, JSON with batch, and onnx or plan: paths in
that folder. What is handed over goes to standard output, compressed and without weights. Where a file is not there, the exit code is
${MISSING_FILE_EXIT_CODE}, and the controller looks again later; anything else that is wrong fails the job.

example: SOAPSTONE_STORAGE=. SOAPSTONE_INSPECT='{"onnx":"model.onnx","batch":8}' soapstone inspect
`;

export const inspectCommand: Command = {
  name: 'inspect',
  summary: "hand a model's graph to the controller (started by the controller)",
  help: HELP,
  run: () =>
    podExit(async () => {
      await inspectStorage(process.env, (line) => void process.stdout.write(`${line}\n`));
      return 0;
    }),
};
